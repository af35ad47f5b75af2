-- Every day of every service a client has or had: what was observed, what the contract makes of it, and the difference.
with

    pairs as (
        select client_id, service_id
        from {{ ref("int_contract_versions") }}
        union
        select client_id, service_id
        from {{ ref("int_quantity_steps") }}
    ),

    firsts as (
        select pairs.client_id, pairs.service_id, min(observed.first_observed_on) as first_on
        from pairs
        inner join
            {{ ref("int_first_observed") }} as observed
            on observed.client_id = pairs.client_id
            and observed.service_id = pairs.service_id
        group by pairs.client_id, pairs.service_id
    ),

    days as (
        select firsts.client_id, firsts.service_id, {{ each_day("firsts.first_on", "clients.today_on") }} as quantity_on
        from firsts
        inner join {{ ref("int_clients") }} as clients on clients.client_id = firsts.client_id
        where clients.status <> 'internal' and firsts.first_on <= clients.today_on
    ),

    contracted as (
        select
            days.client_id,
            days.service_id,
            cast(days.quantity_on as date) as quantity_on,
            contracts.contract_id,
            contracts.contract_text,
            contracts.quantity,
            contracts.billing_model,
            contracts.minimum_quantity,
            contracts.included_quantity,
            coalesce(contracts.tolerance_quantity, 0) as tolerance_quantity,
            contracts.unit_price,
            coalesce(contracts.count_vendor, services.count_vendor) as vendor
        from days
        inner join {{ ref("int_services") }} as services on services.service_id = days.service_id
        left join
            {{ ref("int_contract_versions") }} as contracts
            on contracts.client_id = days.client_id
            and contracts.service_id = days.service_id
            and contracts.effective_from <= days.quantity_on
            and contracts.effective_to > days.quantity_on
    ),

    -- After a contract has ended its price still says what the service was worth, for a year; then the list price does.
    ended as (
        select
            client_id,
            service_id,
            effective_to,
            unit_price,
            lead(effective_to) over (partition by client_id, service_id order by effective_to) as next_ended_on
        from {{ ref("int_contract_versions") }}
        where effective_to < cast('9999-12-31' as date)
    ),

    observed as (
        select
            contracted.*,
            coalesce(seen.observed_quantity, 0) as observed_quantity,
            seen.connection_ids,
            coalesce(
                contracted.unit_price,
                case
                    when {{ dbt.datediff("ended.effective_to", "contracted.quantity_on", "day") }} < 366
                    then ended.unit_price
                end,
                services.list_price
            ) as price,
            contracted.unit_price is null
            and not coalesce(
                {{ dbt.datediff("ended.effective_to", "contracted.quantity_on", "day") }} < 366, false
            ) as is_list_price
        from contracted
        inner join
            {{ ref("int_first_observed") }} as firsts
            on firsts.client_id = contracted.client_id
            and firsts.service_id = contracted.service_id
            and firsts.vendor = contracted.vendor
            and firsts.first_observed_on <= contracted.quantity_on
        inner join {{ ref("int_services") }} as services on services.service_id = contracted.service_id
        left join
            {{ ref("int_observed_days") }} as seen
            on seen.client_id = contracted.client_id
            and seen.service_id = contracted.service_id
            and seen.vendor = contracted.vendor
            and seen.quantity_on = contracted.quantity_on
        left join
            ended
            on ended.client_id = contracted.client_id
            and ended.service_id = contracted.service_id
            and ended.effective_to <= contracted.quantity_on
            and (ended.next_ended_on is null or ended.next_ended_on > contracted.quantity_on)
    ),

    compared as (
        select
            client_id,
            service_id,
            vendor,
            quantity_on,
            connection_ids,
            contract_id,
            contract_text,
            billing_model,
            minimum_quantity,
            included_quantity,
            tolerance_quantity,
            price,
            contract_id is null as is_estimate,
            is_list_price,
            observed_quantity,
            quantity as contracted_quantity,
            cast({{ billable_quantity("observed_quantity", "observed") }} as decimal(18, 4)) as billable_quantity
        from observed
    ),

    signed as (
        select
            *,
            cast(billable_quantity - coalesce(contracted_quantity, 0) as decimal(18, 4)) as variance_quantity,
            cast(sign(billable_quantity - coalesce(contracted_quantity, 0)) as integer) as variance_sign
        from compared
    ),

    turned as (
        select
            *,
            case
                when variance_sign = lag(variance_sign) over (partition by client_id, service_id order by quantity_on)
                then 0
                else 1
            end as is_turn
        from signed
    ),

    runs as (
        select
            *,
            sum(is_turn) over (
                partition by client_id, service_id order by quantity_on rows between unbounded preceding and current row
            ) as run,
            cast(variance_quantity * price / {{ days_in_month("quantity_on") }} as decimal(28, 8)) as day_amount
        from turned
    )

select
    *,
    min(quantity_on) over (partition by client_id, service_id, run) as began_on,
    sum(day_amount) over (
        partition by client_id, service_id, run order by quantity_on rows between unbounded preceding and current row
    ) as accumulated_amount,
    sum(variance_quantity) over (
        partition by client_id, service_id, run order by quantity_on rows between unbounded preceding and current row
    ) as lost_unit_days
from runs
