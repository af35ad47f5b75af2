with versions as ({{ known_versions(source("sage", "contacts")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as customer_id,
    name as customer_name,
    currency__id as currency,
    deleted_at is null as is_active,
    valid_from,
    known_valid_to as valid_to

from versions
