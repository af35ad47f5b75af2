with versions as ({{ known_versions(source("xero", "contacts")) }})

select
    connection_id,
    tenant_id,
    record_key,
    contact_id as customer_id,
    name as customer_name,
    default_currency as currency,
    contact_status = 'ACTIVE' as is_active,
    valid_from,
    known_valid_to as valid_to

from versions
