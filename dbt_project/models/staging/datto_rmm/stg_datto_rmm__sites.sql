with versions as ({{ known_versions(source("datto_rmm", "sites")) }})

select
    connection_id,
    tenant_id,
    record_key,
    uid as company_id,
    name as company_name,
    autotask_company_id,
    autotask_company_name,
    devices_status__number_of_devices as devices_quantity,
    on_demand as is_on_demand,
    valid_from,
    known_valid_to as valid_to

from versions
