with versions as ({{ known_versions(source("sentinelone", "agents")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id,
    site_id,
    id as record_id,
    site_id as company_id,
    serial_number,
    mac_addresses,
    computer_name as host_name,
    coalesce(computer_name, id) as record_name,
    machine_type as sku,
    'Agent on a machine of the kind ' || machine_type as sku_name,
    record_key as person_key,
    computer_name,
    machine_type,
    case
        when lower(machine_type) = 'server'
        then 'server'
        when lower(machine_type) in ('desktop', 'laptop')
        then 'workstation'
    end as device_class,
    os_type,
    standing,
    console_migration_status,
    site_type,
    site_state,
    last_active_date,
    case when last_active_date is not null then 'silent since ' || substr(last_active_date, 1, 10) end as mark,
    1 as unit_count,
    'agent' as unit,
    valid_from,
    known_valid_to as valid_to

from versions
