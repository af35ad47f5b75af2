with versions as ({{ known_versions(source("rest", "companies")) }})

select connection_id, tenant_id, record_key, company_id, company_name, valid_from, known_valid_to as valid_to

from versions
