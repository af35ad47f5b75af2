-- A line names its item by the code, and so do our services.
with versions as ({{ known_versions(source("xero", "items")) }})

select
    connection_id,
    tenant_id,
    record_key,
    code as item_id,
    name as item_name,
    sales_details__unit_price as unit_price,
    is_sold as is_active,
    valid_from,
    known_valid_to as valid_to

from versions
