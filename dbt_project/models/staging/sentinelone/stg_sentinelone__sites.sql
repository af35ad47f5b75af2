with versions as ({{ known_versions(source("sentinelone", "sites")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as company_id,
    name as company_name,
    site_type,
    state as site_state,
    active_licenses as active_quantity,
    case when not coalesce(unlimited_licenses, false) then total_licenses end as purchased_quantity,
    valid_from,
    known_valid_to as valid_to

from versions
