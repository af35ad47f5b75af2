-- One row per period, client and service whose billable quantity differs from the contracted one.
with

    measured as (
        select
            sources.period_month,
            sources.is_open,
            sources.last_on,
            sources.measured_on,
            sources.is_late_measured,
            sources.source_state,
            sources.source_as_of_at,
            sources.last_seen_on,
            contract.client_id,
            contract.service_id,
            contract.vendor,
            contract.contract_id,
            contract.contract_text,
            contract.billing_model,
            contract.minimum_quantity,
            contract.included_quantity,
            contract.tolerance_quantity,
            coalesce(contract.contracted_quantity, 0) as contracted_quantity,
            contract.price,
            contract.is_list_price,
            position.observed_quantity,
            position.began_on as run_began_on,
            position.accumulated_amount,
            position.lost_unit_days,
            position.run,
            coalesce(contract.contracted_quantity, 0) as quantity,
            cast({{ billable_quantity("position.observed_quantity", "terms") }} as decimal(18, 4)) as billable_quantity
        from {{ ref("int_period_sources") }} as sources
        inner join
            {{ ref("int_daily_positions") }} as contract
            on contract.client_id = sources.client_id
            and contract.service_id = sources.service_id
            and contract.vendor = sources.vendor
            and contract.quantity_on = sources.last_on
        inner join
            (select *, contracted_quantity as quantity from {{ ref("int_daily_positions") }}) as terms
            on terms.client_id = contract.client_id
            and terms.service_id = contract.service_id
            and terms.quantity_on = contract.quantity_on
        inner join
            {{ ref("int_daily_positions") }} as position
            on position.client_id = sources.client_id
            and position.service_id = sources.service_id
            and position.vendor = sources.vendor
            and position.quantity_on = sources.measured_on
    ),

    varied as (
        select
            measured.*,
            clients.client_name,
            clients.today_on,
            case when measured.is_list_price then money.main_currency else clients.currency end as currency,
            services.service_name,
            services.unit,
            cast(measured.billable_quantity - measured.quantity as decimal(18, 4)) as variance_quantity,
            case
                when measured.run_began_on < measured.last_on then measured.run_began_on else measured.last_on
            end as began_on,
            {{ plus_days("-clients.back_bill_days", "clients.today_on") }} as recoverable_from
        from measured
        inner join {{ ref("int_clients") }} as clients on clients.client_id = measured.client_id
        inner join {{ ref("int_services") }} as services on services.service_id = measured.service_id
        cross join {{ ref("int_money") }} as money
        where measured.billable_quantity <> measured.quantity
    )

select
    varied.*,
    case
        when varied.contract_id is null
        then 'no_contract'
        when varied.observed_quantity = 0
        then 'no_usage'
        when varied.variance_quantity > 0
        then 'under_billed'
        else 'over_billed'
    end as kind,
    {{ round_money("varied.variance_quantity * varied.price", "varied.currency") }} as variance_amount,
    case
        when varied.recoverable_from > varied.measured_on
        then 0
        else varied.accumulated_amount - coalesce(lost.accumulated_amount, 0)
    end as unlapsed_amount
from varied
left join
    {{ ref("int_daily_positions") }} as lost
    on lost.client_id = varied.client_id
    and lost.service_id = varied.service_id
    and lost.run = varied.run
    and lost.quantity_on = {{ plus_days(-1, "varied.recoverable_from") }}
    and lost.quantity_on < varied.measured_on
where
    -- What began after the last good reading was not seen by anybody: it is not a finding yet.
    varied.source_state = 'known' or varied.began_on <= varied.last_seen_on
