with versions as ({{ known_versions(source("huntress", "agents")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id,
    organization_id,
    id as record_id,
    organization_id as company_id,
    serial_number,
    mac_addresses,
    coalesce(hostname, id) as record_name,
    -- An agent that names no platform can be mapped like any other.
    coalesce(platform, 'unknown') as sku,
    'Agent on ' || coalesce(platform, 'an unknown platform') as sku_name,
    record_key as person_key,
    coalesce(platform, 'unknown') as platform,
    os,
    hostname,
    hostname as host_name,
    -- A system with the same name on servers and on desks does not say which it is.
    case
        when lower(os) like '%server%'
        then 'server'
        when lower(platform) = 'darwin' or (lower(platform) = 'windows' and os is not null)
        then 'workstation'
    end as device_class,
    case when last_callback_at is not null then 'silent since ' || substr(last_callback_at, 1, 10) end as mark,
    1 as unit_count,
    'agent' as unit,
    {{ from_iso("created_at") }} as created_at,
    valid_from,
    known_valid_to as valid_to

from versions
