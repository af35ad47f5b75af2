with

    invoiced as (
        select client_id, service_id, period_month, sum(coalesce(quantity, 0)) as invoiced_quantity
        from {{ ref("int_invoiced_quantities") }}
        where service_id is not null
        group by client_id, service_id, period_month
    ),

    judged as (
        select
            margins.*,
            invoiced.invoiced_quantity,
            concat_ws(
                ', ',
                case when margins.waste_quantity > 0 then 'waste' end,
                case when margins.risk_quantity > 0 then 'risk' end,
                case when margins.is_doubtful then 'lists_differ' end,
                case when margins.is_below_cost and margins.is_cost_fresh then 'below_cost' end
            ) as finding,
            margins.commitment_ends_on > margins.last_on as is_committed
        from {{ ref("int_margins") }} as margins
        left join
            invoiced
            on invoiced.client_id = margins.client_id
            and invoiced.service_id = margins.service_id
            and invoiced.period_month = margins.period_month
    )

select
    period_month,
    client_id,
    client_name,
    service_id,
    service_name,
    count_vendor,
    cast(contracted_quantity as decimal(18, 4)) as contracted_quantity,
    cast(observed_quantity as decimal(18, 4)) as observed_quantity,
    cast(purchased_quantity as decimal(18, 4)) as purchased_quantity,
    purchased_vendor,
    cast(assigned_quantity as decimal(18, 4)) as assigned_quantity,
    assigned_vendor,
    cast(invoiced_quantity as decimal(18, 4)) as invoiced_quantity,
    cast(unit_price as decimal(18, 4)) as unit_price,
    cast(unit_cost as decimal(18, 4)) as unit_cost,
    currency,
    cost_currency,
    cast(billed_amount as decimal(18, 4)) as billed_amount,
    cast(cost_amount as decimal(18, 4)) as cost_amount,
    cast(margin_amount as decimal(18, 4)) as margin_amount,
    cast(margin_amount / nullif(billed_amount, 0) as decimal(18, 4)) as margin_share,
    cast(waste_quantity as decimal(18, 4)) as waste_quantity,
    cast(waste_amount as decimal(18, 4)) as waste_amount,
    cast(risk_quantity as decimal(18, 4)) as risk_quantity,
    finding,
    client_name
    || ', '
    || service_name
    || ': '
    || concat_ws(
        ', ',
        case
            when contract_id is null
            then 'no contract'
            else
                {{ say_quantity("contracted_quantity") }}
                || ' in the contract'
                || coalesce(' at ' || {{ say_money("unit_price", "currency") }}, '')
        end,
        {{ say_quantity("observed_quantity") }} || ' counted in ' || {{ vendor_title("count_vendor") }},
        case
            when within_quantity > 0 then {{ say_quantity("within_quantity") }} || ' of them within another licence'
        end,
        case when suspended_quantity > 0 then {{ say_quantity("suspended_quantity") }} || ' suspended' end,
        {{ say_quantity("purchased_quantity") }}
        || ' bought'
        || case when is_distributor then ' through ' else ' at ' end
        || {{ vendor_title("purchased_vendor") }},
        case
            when other_quantity <> purchased_quantity
            then
                {{ vendor_title("other_vendor") }} || ' says ' || {{ say_quantity("other_quantity") }} || ' were bought'
        end,
        {{ say_quantity("assigned_quantity") }}
        || case when is_deployed then ' deployed in ' else ' assigned in ' end
        || {{ vendor_title("assigned_vendor") }},
        case
            when redundant_quantity > 0
            then {{ say_quantity("redundant_quantity") }} || ' of them to people who have it within another licence'
        end,
        case
            when waste_quantity > 0
            then
                {{ say_quantity("waste_quantity") }}
                || case when redundant_quantity > 0 then ' bought and not needed' else ' bought and not in use' end
                || coalesce(', ' || {{ say_money("waste_amount", "cost_currency") }} || ' a month', '')
                || case
                    when is_committed
                    then ', committed until ' || cast(commitment_ends_on as {{ dbt.type_string() }})
                    when is_term_only
                    then ', sold for a fixed term only'
                    else ''
                end
        end,
        case when risk_quantity > 0 then {{ say_quantity("risk_quantity") }} || ' in use and not bought' end,
        case when is_doubtful then 'whether all in use is bought depends on which of the two is right' end,
        {{ say_quantity("distributor_invoiced_quantity") }}
        || ' invoiced by '
        || {{ vendor_title("distributor_vendor") }}
        || ' this month'
        || coalesce(' for ' || {{ say_money("distributor_invoiced_amount", "distributor_invoiced_currency") }}, ''),
        case
            when is_below_cost
            then 'one costs ' || {{ say_money("unit_cost", "cost_currency") }} || ', more than it brings'
        end,
        case
            when has_currencies
            then 'no cost, as it is bought in several currencies'
            when long_term is not null
            then 'no cost, as a price for the term ' || long_term || ' is not one for a month'
            when cost_currency <> currency
            then 'no margin, as it costs ' || cost_currency || ' and brings ' || currency || ' and no rate is agreed'
        end,
        case when source_state = 'unknown' then 'nothing that counts it was read' end,
        case when source_state in ('stale', 'partial') then 'not everything behind it is fresh' end
    )
    || '.' as explanation,
    source_state,
    fresh_until_at,
    commitment_ends_on,
    distributor_invoiced_quantity,
    distributor_invoiced_amount,
    distributor_invoiced_currency,
    cast(redundant_quantity as decimal(18, 4)) as redundant_quantity
from judged
