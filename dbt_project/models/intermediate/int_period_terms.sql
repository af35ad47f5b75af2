-- What was agreed and counted on the last day of each month: as known now, and of a closed month also as it was known
-- when it was closed. The latter speaks for the month; the former is what it is held against.
with

    ends as (
        select periods.client_id, periods.period_month, periods.last_on, closed.client_id is null as is_standing
        from {{ ref("int_periods") }} as periods
        left join
            {{ ref("stg_morton__closed_periods") }} as closed
            on closed.client_id = periods.client_id
            and closed.period_month = periods.period_month
    ),

    counted as (
        select ends.client_id, ends.period_month, positions.service_id, positions.observed_quantity
        from ends
        inner join
            {{ ref("int_positions") }} as positions
            on positions.client_id = ends.client_id
            and {{ stands_on("positions", "ends.last_on") }}
    ),

    subjects as (
        select client_id, period_month, service_id
        from {{ ref("int_contract_months") }}
        union
        select client_id, period_month, service_id
        from counted
    )

select
    subjects.client_id,
    subjects.period_month,
    subjects.service_id,
    false as is_as_closed,
    ends.is_standing,
    agreed.contract_id,
    agreed.contract_text,
    agreed.billing_model,
    agreed.contracted_quantity,
    agreed.contracted_amount,
    agreed.price,
    agreed.price_days,
    clients.currency,
    agreed.tolerance_quantity,
    counted.observed_quantity
from subjects
inner join ends on ends.client_id = subjects.client_id and ends.period_month = subjects.period_month
inner join {{ ref("int_clients") }} as clients on clients.client_id = subjects.client_id
left join
    {{ ref("int_contract_months") }} as agreed
    on agreed.client_id = subjects.client_id
    and agreed.period_month = subjects.period_month
    and agreed.service_id = subjects.service_id
left join
    counted
    on counted.client_id = subjects.client_id
    and counted.period_month = subjects.period_month
    and counted.service_id = subjects.service_id
union all
select
    client_id,
    period_month,
    service_id,
    true as is_as_closed,
    true as is_standing,
    contract_id,
    contract_text,
    billing_model,
    contracted_quantity,
    contracted_amount,
    price,
    price_days,
    currency,
    tolerance_quantity,
    observed_quantity
from {{ ref("stg_morton__closed_terms") }}
