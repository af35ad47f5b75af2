with versions as ({{ known_versions(source("sage", "services")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as item_id,
    displayed_as as item_name,
    kind as item_type,
    list_price as unit_price,
    coalesce(active, true) and deleted_at is null as is_active,
    valid_from,
    known_valid_to as valid_to

from versions
