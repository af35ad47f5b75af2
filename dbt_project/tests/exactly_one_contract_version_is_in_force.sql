{{ config(meta={"dagster": {"ref": {"name": "int_contract_versions"}}}) }}
-- A failing row is a client and service with two contract versions in force on the same day.
select earlier.client_id, earlier.service_id, earlier.contract_id, later.contract_id as other_contract_id
from {{ ref("int_contract_versions") }} as earlier
inner join
    {{ ref("int_contract_versions") }} as later
    on later.client_id = earlier.client_id
    and later.service_id = earlier.service_id
    and later.contract_id > earlier.contract_id
    and later.effective_from < earlier.effective_to
    and earlier.effective_from < later.effective_to
