with versions as ({{ known_versions(source("ninjaone", "organizations")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as company_id,
    name as company_name,
    description,
    valid_from,
    known_valid_to as valid_to

from versions
