-- Contracts in force that nothing could count: no connection, no
-- mapped company, no mapping for the service, or nothing read yet.
with

    -- What a contract covers, and what is in a bundle it covers where no contract of its own does.
    in_force as (
        select periods.period_month, periods.last_on, contracts.*
        from {{ ref("int_periods") }} as periods
        inner join
            {{ ref("int_contract_versions") }} as contracts
            on contracts.client_id = periods.client_id
            and contracts.effective_from <= periods.last_on
            and contracts.effective_to > periods.last_on
        where periods.is_open
    ),

    agreed as (
        select
            period_month,
            last_on,
            client_id,
            service_id,
            contract_text,
            quantity,
            unit_price,
            billing_model,
            count_vendor,
            effective_from
        from in_force
        union all
        select
            bundled.period_month,
            bundled.last_on,
            bundled.client_id,
            bundles.component_service_id as service_id,
            min(bundled.contract_text) as contract_text,
            sum(bundled.quantity * bundles.quantity_per_unit) as quantity,
            cast(null as decimal(18, 4)) as unit_price,
            'per_unit' as billing_model,
            services.count_vendor,
            min(bundled.effective_from) as effective_from
        from in_force as bundled
        inner join {{ ref("int_bundles") }} as bundles on bundles.bundle_service_id = bundled.service_id
        inner join {{ ref("int_services") }} as services on services.service_id = bundles.component_service_id
        left join in_force as own on own.client_id = bundled.client_id and own.service_id = bundles.component_service_id
        -- Where the bundle is counted by a component, its own row says that nobody could.
        where own.contract_id is null and not bundles.is_counter
        group by
            bundled.period_month,
            bundled.last_on,
            bundled.client_id,
            bundles.component_service_id,
            services.count_vendor
    )

select
    contracts.period_month,
    contracts.last_on,
    contracts.client_id,
    contracts.service_id,
    contracts.contract_text,
    cast(contracts.quantity as decimal(18, 4)) as contracted_quantity,
    contracts.unit_price as price,
    clients.client_name,
    clients.currency,
    services.service_name,
    contracts.count_vendor as vendor,
    contracts.effective_from
from agreed as contracts
inner join
    {{ ref("int_clients") }} as clients on clients.client_id = contracts.client_id and clients.status <> 'internal'
inner join {{ ref("int_services") }} as services on services.service_id = contracts.service_id
left join
    (
        select distinct client_id, service_id, vendor
        from {{ ref("int_period_sources") }}
        where is_open and source_state <> 'unknown'
    ) as sources
    on sources.client_id = contracts.client_id
    and sources.service_id = contracts.service_id
    and sources.vendor = contracts.count_vendor
where contracts.billing_model <> 'flat' and sources.client_id is null
