with versions as ({{ known_versions(source("cove", "storage")) }})

select
    connection_id,
    tenant_id,
    record_key,
    account_id,
    partner_id,
    account_id as record_id,
    partner_id as company_id,
    coalesce(computer_name, device_name, account_id) as record_name,
    account_class as sku,
    'Storage of the class ' || account_class as sku_name,
    cast(null as {{ dbt.type_string() }}) as person_key,
    partner_name,
    partner_state,
    device_name,
    computer_name,
    account_class,
    cast(null as {{ dbt.type_string() }}) as mark,
    used_gigabytes as unit_count,
    'gigabyte' as unit,
    valid_from,
    known_valid_to as valid_to

from versions
