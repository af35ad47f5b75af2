with versions as ({{ known_versions(source("microsoft365", "user_licenses")) }})

select
    connection_id,
    tenant_id,
    record_key,
    user_id,
    user_id as record_id,
    tenant_id as company_id,
    sku_id,
    coalesce(display_name, user_principal_name, user_id) as record_name,
    sku_part_number as sku,
    sku_part_number as sku_name,
    user_id as person_key,
    sku_part_number,
    user_principal_name,
    display_name,
    user_type,
    department,
    user_purpose,
    capability_status,
    nullif(
        concat_ws(
            ', ',
            case when not account_enabled then 'account disabled' end,
            case when lower(user_type) = 'guest' then 'guest' end,
            case when mailbox_status = 403 then 'mailbox kind hidden' end,
            case when lower(capability_status) = 'warning' then 'subscription past its end' end
        ),
        ''
    ) as mark,
    1 as unit_count,
    'licence' as unit,
    valid_from,
    known_valid_to as valid_to

from versions
