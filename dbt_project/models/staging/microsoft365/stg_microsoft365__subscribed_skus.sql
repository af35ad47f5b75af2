with versions as ({{ known_versions(source("microsoft365", "subscribed_skus")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id,
    sku_id as record_id,
    tenant_id as company_id,
    sku_id,
    sku_part_number as record_name,
    sku_part_number as sku,
    sku_part_number as sku_name,
    record_key as person_key,
    sku_part_number,
    capability_status,
    applies_to,
    case when coalesce(prepaid_units__warning, 0) > 0 then 'past its end, still usable' end as mark,
    prepaid_units__enabled + coalesce(prepaid_units__warning, 0) as unit_count,
    'licence' as unit,
    consumed_units as assigned_quantity,
    prepaid_units__enabled as enabled_quantity,
    prepaid_units__warning as warning_quantity,
    prepaid_units__suspended as suspended_quantity,
    valid_from,
    known_valid_to as valid_to

from versions
