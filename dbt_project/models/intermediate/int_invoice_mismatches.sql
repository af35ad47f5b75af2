-- Where the recurring invoice bills another quantity than the contract says.
with

accounting as (
    select
        max(case when state in ('known', 'zero') then 1 else 0 end) = 1 as is_fresh,
        min(last_complete_at) as source_as_of_at
    from {{ ref('int_scope_states') }}
    where endpoint = 'invoice_lines' and last_complete_at is not null
    having count(*) > 0
),

invoiced as (
    select
        client_id,
        service_id,
        period_month,
        sum(case when not is_ours then quantity end) as others_quantity,
        sum(case when not is_ours and quantity is null then amount end) as others_amount_only
    from {{ ref('int_invoiced_quantities') }}
    where service_id is not null
    group by client_id, service_id, period_month
),

client_months as (
    select distinct client_id, period_month from {{ ref('int_invoiced_quantities') }} where is_client_invoiced
),

compared as (
    select
        periods.period_month,
        periods.is_open,
        periods.last_on,
        contracts.client_id,
        contracts.service_id,
        contracts.contract_text,
        contracts.quantity as contracted_quantity,
        contracts.unit_price as price,
        contracts.tolerance_quantity,
        clients.client_name,
        clients.currency,
        services.service_name,
        positions.observed_quantity,
        case when accounting.is_fresh then 'known' else 'stale' end as source_state,
        accounting.source_as_of_at,
        cast(
            coalesce(invoiced.others_quantity, 0) + coalesce(invoiced.others_amount_only / nullif(contracts.unit_price, 0), 0)
            as decimal(18, 4)
        ) as invoiced_quantity
    from {{ ref('int_periods') }} as periods
    inner join {{ ref('int_contract_versions') }} as contracts
        on
            contracts.client_id = periods.client_id
            and contracts.effective_from <= periods.last_on
            and contracts.effective_to > periods.last_on
    inner join {{ ref('int_clients') }} as clients
        on clients.client_id = contracts.client_id and clients.status <> 'internal'
    inner join {{ ref('int_services') }} as services on services.service_id = contracts.service_id
    cross join accounting
    left join client_months
        on client_months.client_id = periods.client_id and client_months.period_month = periods.period_month
    left join {{ ref('int_daily_positions') }} as positions
        on
            positions.client_id = contracts.client_id
            and positions.service_id = contracts.service_id
            and positions.quantity_on = periods.last_on
    left join invoiced
        on
            invoiced.client_id = contracts.client_id
            and invoiced.service_id = contracts.service_id
            and invoiced.period_month = periods.period_month
    where
        clients.accounting_customer_id is not null
        and services.accounting_item_id is not null
        and (not periods.is_open or client_months.client_id is not null)
)

select
    *,
    cast(contracted_quantity - invoiced_quantity as decimal(18, 4)) as variance_quantity,
    {{ round_money('(contracted_quantity - invoiced_quantity) * price', 'currency') }} as variance_amount
from compared
where contracted_quantity <> invoiced_quantity
