with versions as ({{ known_versions(source("pax8", "companies")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as company_id,
    name as company_name,
    external_id,
    status,
    bill_on_behalf_of_enabled as is_billed_by_pax8,
    valid_from,
    known_valid_to as valid_to

from versions
