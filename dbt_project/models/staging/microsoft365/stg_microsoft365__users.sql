with versions as ({{ known_versions(source("microsoft365", "users")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as user_id,
    tenant_id as company_id,
    user_principal_name,
    display_name,
    mail,
    user_type,
    department,
    account_enabled as is_enabled,
    {{ from_iso("created_date_time") }} as created_at,
    valid_from,
    known_valid_to as valid_to

from versions
