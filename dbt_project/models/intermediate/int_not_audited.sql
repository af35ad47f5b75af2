-- Contracts in force that nothing could count: no connection, no
-- mapped company, no mapping for the service, or nothing read yet.
select
    periods.period_month,
    periods.last_on,
    contracts.client_id,
    contracts.service_id,
    contracts.contract_text,
    contracts.quantity as contracted_quantity,
    contracts.unit_price as price,
    clients.client_name,
    clients.currency,
    services.service_name,
    contracts.count_vendor as vendor,
    contracts.effective_from
from {{ ref("int_contract_versions") }} as contracts
inner join
    {{ ref("int_clients") }} as clients on clients.client_id = contracts.client_id and clients.status <> 'internal'
inner join {{ ref("int_services") }} as services on services.service_id = contracts.service_id
inner join {{ ref("int_periods") }} as periods on periods.client_id = contracts.client_id and periods.is_open
left join
    (
        select distinct client_id, service_id, vendor
        from {{ ref("int_period_sources") }}
        where is_open and source_state <> 'unknown'
    ) as sources
    on sources.client_id = contracts.client_id
    and sources.service_id = contracts.service_id
    and sources.vendor = contracts.count_vendor
where
    contracts.effective_from <= periods.last_on
    and contracts.effective_to > periods.last_on
    and contracts.billing_model <> 'flat'
    and sources.client_id is null
