with versions as ({{ known_versions(source("quickbooks_online", "items")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as item_id,
    name as item_name,
    type as item_type,
    unit_price,
    active as is_active,
    valid_from,
    known_valid_to as valid_to

from versions
