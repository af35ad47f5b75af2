-- The findings that stand: as computed now, and for closed months as they were closed with.
with

    -- What of a closed row is still within the limit is a matter of today; what its days were worth is not.
    lapsing as (
        select
            stretches.discrepancy_id,
            sum(
                stretches.day_amount * (
                    {{
                        dbt.datediff(
                            "case when limits.recoverable_from > stretches.first_on then limits.recoverable_from else stretches.first_on end",
                            "stretches.last_on",
                            "day",
                        )
                    }}
                    + 1
                )
            ) as unlapsed_amount
        from {{ ref("stg_morton__closed_stretches") }} as stretches
        left join
            (
                select client_id, {{ plus_days("-back_bill_days", "today_on") }} as recoverable_from
                from {{ ref("int_clients") }}
            ) as limits
            on limits.client_id = stretches.client_id
        where limits.recoverable_from is null or limits.recoverable_from <= stretches.last_on
        group by stretches.discrepancy_id
    )

select
    discrepancy_id,
    period_month,
    client_id,
    client_name,
    service_id,
    service_name,
    kind,
    vendor,
    observed_quantity,
    contracted_quantity,
    invoiced_quantity,
    invoiced_as,
    billed_to,
    variance_quantity,
    price,
    currency,
    variance_amount,
    accumulated_amount,
    unlapsed_amount,
    lost_unit_days,
    began_on,
    state,
    source_as_of_at,
    is_within_tolerance,
    is_estimate,
    explanation,
    seal,
    corrects_month,
    unexplained_quantity
from {{ ref("int_findings_sealed") }}
union all
select
    closed.discrepancy_id,
    closed.period_month,
    closed.client_id,
    closed.client_name,
    closed.service_id,
    closed.service_name,
    closed.kind,
    closed.vendor,
    closed.observed_quantity,
    closed.contracted_quantity,
    closed.invoiced_quantity,
    closed.invoiced_as,
    closed.billed_to,
    closed.variance_quantity,
    closed.price,
    closed.currency,
    closed.variance_amount,
    closed.accumulated_amount,
    case
        when closed.accumulated_amount is not null
        then {{ round_money("coalesce(lapsing.unlapsed_amount, 0)", "closed.currency") }}
    end as unlapsed_amount,
    closed.lost_unit_days,
    closed.began_on,
    closed.state,
    closed.source_as_of_at,
    closed.is_within_tolerance,
    closed.is_estimate,
    closed.explanation,
    closed.seal,
    cast(null as date) as corrects_month,
    closed.unexplained_quantity
from {{ ref("stg_morton__closed_findings") }} as closed
left join lapsing on lapsing.discrepancy_id = closed.discrepancy_id
