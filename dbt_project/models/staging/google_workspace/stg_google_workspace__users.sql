with versions as ({{ known_versions(source("google_workspace", "users")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as user_id,
    tenant_id as company_id,
    primary_email,
    name__full_name as display_name,
    org_unit_path,
    suspended as is_suspended,
    archived as is_archived,
    {{ from_iso("creation_time") }} as created_at,
    valid_from,
    known_valid_to as valid_to

from versions
