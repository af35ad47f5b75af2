with versions as ({{ known_versions(source("huntress", "organizations")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as company_id,
    name as company_name,
    identity_provider_tenant_id,
    agents_count,
    actual_usages__edr__billable_agents_count as billable_agents_quantity,
    actual_usages__edr__unresponsive_agents_count as unresponsive_agents_quantity,
    valid_from,
    known_valid_to as valid_to

from versions
