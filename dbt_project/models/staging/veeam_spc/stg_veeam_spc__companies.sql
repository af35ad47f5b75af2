with versions as ({{ known_versions(source("veeam_spc", "companies")) }})

select
    connection_id,
    tenant_id,
    record_key,
    instance_uid as company_id,
    name as company_name,
    status as company_status,
    reseller_uid as reseller_id,
    external_id,
    valid_from,
    known_valid_to as valid_to

from versions
