with versions as ({{ known_versions(source("quickbooks_desktop", "items")) }})

select
    connection_id,
    tenant_id,
    record_key,
    list_id as item_id,
    full_name as item_name,
    price as unit_price,
    is_active,
    valid_from,
    known_valid_to as valid_to

from versions
