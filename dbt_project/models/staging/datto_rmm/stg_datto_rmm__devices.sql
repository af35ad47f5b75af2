with versions as ({{ known_versions(source("datto_rmm", "devices")) }})

select
    connection_id,
    tenant_id,
    record_key,
    uid,
    site_uid,
    uid as record_id,
    site_uid as company_id,
    -- A list of devices carries neither; machines are matched by name.
    cast(null as {{ dbt.type_string() }}) as serial_number,
    cast(null as {{ dbt.type_string() }}) as mac_addresses,
    hostname as host_name,
    coalesce(hostname, uid) as record_name,
    device_type__category as sku,
    device_type__category as sku_name,
    record_key as person_key,
    hostname,
    device_type__category,
    device_type__type,
    case
        when lower(device_type__category) = 'server'
        then 'server'
        when lower(device_type__category) in ('desktop', 'laptop')
        then 'workstation'
    end as device_class,
    datto_class,
    operating_system,
    standing,
    nullif(
        concat_ws(
            ', ',
            case when suspended then 'suspended' end,
            case
                when last_seen is not null
                then 'silent since ' || cast(cast({{ from_epoch("last_seen") }} as date) as {{ dbt.type_string() }})
            end,
            case when lower(coalesce(datto_class, 'unknown')) = 'unknown' then 'class unknown to Datto' end
        ),
        ''
    ) as mark,
    1 as unit_count,
    'device' as unit,
    valid_from,
    known_valid_to as valid_to

from versions
