with versions as ({{ known_versions(source("ninjaone", "devices")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id,
    organization_id,
    id as record_id,
    organization_id as company_id,
    uid,
    location_id,
    node_role_id,
    parent_device_id,
    coalesce(display_name, system_name, dns_name, id) as record_name,
    node_class as sku,
    node_class as sku_name,
    record_key as person_key,
    node_class,
    approval_status,
    display_name,
    system_name,
    dns_name,
    system__serial_number,
    system__bios_serial_number,
    coalesce(
        {{ usable_serial("system__bios_serial_number") }}, {{ usable_serial("system__serial_number") }}
    ) as serial_number,
    mac_addresses,
    coalesce(system_name, dns_name) as host_name,
    -- A virtualisation host is watched through its manager, and a phone is no machine other tools are installed on.
    case
        when node_class like '%!_SERVER' escape '!' and node_class not like 'NMS%'
        then 'server'
        when node_class like '%!_WORKSTATION' escape '!' or node_class = 'MAC'
        then 'workstation'
    end as device_class,
    case
        when last_contact is not null
        then 'silent since ' || cast(cast({{ from_epoch("last_contact") }} as date) as {{ dbt.type_string() }})
    end as mark,
    1 as unit_count,
    'device' as unit,
    {{ from_epoch("created") }} as created_at,
    valid_from,
    known_valid_to as valid_to

from versions
