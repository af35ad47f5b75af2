with versions as ({{ known_versions(source("acronis", "resources")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as record_id,
    -- A tenant without any usage is known by its number only.
    coalesce(customer_uuid, tenant_number) as company_id,
    coalesce(nullif(user_defined_name, ''), name) as record_name,
    -- The list carries none of these; machines are matched by name.
    cast(null as {{ dbt.type_string() }}) as serial_number,
    cast(null as {{ dbt.type_string() }}) as mac_addresses,
    name as host_name,
    cast(null as {{ dbt.type_string() }}) as device_class,
    type,
    valid_from,
    known_valid_to as valid_to

from versions
