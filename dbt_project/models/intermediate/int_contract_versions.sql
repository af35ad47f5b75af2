-- Contract versions with their defaults filled in; exactly one is in force per client, service and day.
select
    contracts.contract_id,
    contracts.client_id,
    contracts.service_id,
    contracts.quantity,
    contracts.unit_price,
    contracts.billing_model,
    contracts.minimum_quantity,
    contracts.included_quantity,
    coalesce(contracts.tolerance_quantity, 0) as tolerance_quantity,
    coalesce(lower(contracts.count_vendor), services.count_vendor) as count_vendor,
    coalesce(contracts.effective_from, cast('1900-01-01' as date)) as effective_from,
    coalesce(contracts.effective_to, cast('9999-12-31' as date)) as effective_to,
    contracts.contract_id
    || '|'
    || cast(contracts.quantity as {{ dbt.type_string() }})
    || '|'
    || cast(contracts.unit_price as {{ dbt.type_string() }})
    || '|'
    || contracts.billing_model
    || '|'
    || coalesce(cast(contracts.minimum_quantity as {{ dbt.type_string() }}), '')
    || '|'
    || coalesce(cast(contracts.included_quantity as {{ dbt.type_string() }}), '')
    || '|'
    || coalesce(cast(contracts.effective_from as {{ dbt.type_string() }}), '')
    || '|'
    || coalesce(cast(contracts.effective_to as {{ dbt.type_string() }}), '') as contract_text
from {{ ref("contracts") }} as contracts
left join {{ ref("int_services") }} as services on services.service_id = contracts.service_id
