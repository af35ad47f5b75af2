with versions as ({{ known_versions(source("acronis", "tenants")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as company_id,
    name as company_name,
    parent_id as parent_company_id,
    kind,
    pricing_mode,
    lower(enabled) = 'true' as is_enabled,
    production_start_date,
    valid_from,
    known_valid_to as valid_to

from versions
