with versions as ({{ known_versions(source("cove", "partners")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as company_id,
    name as company_name,
    parent_id as parent_company_id,
    external_code,
    level as partner_level,
    state as partner_state,
    is_own,
    valid_from,
    known_valid_to as valid_to

from versions
