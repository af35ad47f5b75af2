with versions as ({{ known_versions(source("quickbooks_online", "customers")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as customer_id,
    display_name as customer_name,
    currency_ref__value as currency,
    active as is_active,
    valid_from,
    known_valid_to as valid_to

from versions
