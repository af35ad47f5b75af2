with versions as ({{ known_versions(source("google_workspace", "license_assignments")) }})

select
    connection_id,
    tenant_id,
    record_key,
    user__id,
    user__id as record_id,
    tenant_id as company_id,
    user_id,
    product_id,
    sku_id,
    coalesce(user__name__full_name, user_id) as record_name,
    sku_id as sku,
    coalesce(sku_name, sku_id) as sku_name,
    user__id as person_key,
    user__name__full_name,
    user__org_unit_path,
    product_name,
    nullif(
        concat_ws(
            ', ',
            case when user__suspended then 'account suspended' end,
            case when user__archived then 'account archived' end,
            case when user__suspended is null then 'not in the directory' end
        ),
        ''
    ) as mark,
    1 as unit_count,
    'licence' as unit,
    valid_from,
    known_valid_to as valid_to

from versions
