with versions as ({{ known_versions(source("pax8", "products")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as product_id,
    name as product_name,
    vendor_name,
    sku,
    vendor_sku,
    requires_commitment,
    name is not null as is_listed,
    valid_from,
    known_valid_to as valid_to

from versions
