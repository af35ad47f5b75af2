with versions as ({{ known_versions(source("quickbooks_desktop", "customers")) }})

select
    connection_id,
    tenant_id,
    record_key,
    list_id as customer_id,
    full_name as customer_name,
    currency,
    is_active,
    valid_from,
    known_valid_to as valid_to

from versions
