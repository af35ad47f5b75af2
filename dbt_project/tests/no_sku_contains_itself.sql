{{ config(meta={"dagster": {"ref": {"name": "int_sku_includes"}}}) }}
-- A failing row is a SKU that contains itself, directly or through others.
select vendor, sku
from {{ ref("int_sku_includes") }}
where sku = included_sku
