-- What the recurring invoice of a month should bill of a service: the contract's quantity and what it costs at the end
-- of the month, or now. Under average and daily every version of the month has its share of the days, also one to
-- come.
with

    versions as (
        select
            periods.client_id,
            periods.period_month,
            periods.last_on,
            contracts.contract_id,
            contracts.service_id,
            contracts.contract_text,
            contracts.billing_model,
            contracts.count_basis,
            contracts.quantity,
            contracts.tolerance_quantity,
            contracts.effective_to > periods.last_on as is_in_force,
            cast({{ dbt.dateadd("month", 1, "periods.period_month") }} as date) as next_month,
            case
                when contracts.effective_from > periods.period_month
                then contracts.effective_from
                else periods.period_month
            end as part_from,
            contracts.effective_to,
            row_number() over (
                partition by periods.client_id, periods.period_month, contracts.service_id
                order by
                    case when contracts.effective_from <= periods.last_on then 1 else 0 end desc,
                    contracts.effective_from desc
            ) as place,
            contracts.effective_from <= periods.last_on as has_begun
        from {{ ref("int_periods") }} as periods
        inner join
            {{ ref("int_contract_versions") }} as contracts
            on contracts.client_id = periods.client_id
            and contracts.effective_from < cast({{ dbt.dateadd("month", 1, "periods.period_month") }} as date)
            and contracts.effective_to > periods.period_month
    ),

    priced as (
        select
            versions.*,
            steps.unit_price,
            {{ amount_in_step("versions.quantity", "steps") }} as amount,
            {{
                dbt.datediff(
                    "versions.part_from",
                    "case when versions.effective_to < versions.next_month then versions.effective_to else versions.next_month end",
                    "day",
                )
            }}
            as day_count,
            {{ dbt.datediff("versions.period_month", "versions.next_month", "day") }} as month_days
        from versions
        inner join
            {{ ref("int_price_tiers") }} as steps
            on steps.contract_id = versions.contract_id
            and {{ is_in_step("versions.quantity", "steps") }}
    ),

    latest as (select * from priced where place = 1 and has_begun and (is_in_force or count_basis <> 'period_end')),

    weighed as (
        select
            latest.client_id,
            latest.period_month,
            latest.service_id,
            sum(priced.quantity * priced.day_count) as unit_days,
            sum(priced.amount * priced.day_count) as amount_days,
            -- A day under none of them is worth what it is under the last one.
            sum((priced.unit_price - latest.unit_price) * priced.day_count) as dearer_days
        from latest
        inner join
            priced
            on priced.client_id = latest.client_id
            and priced.period_month = latest.period_month
            and priced.service_id = latest.service_id
        where latest.count_basis in ('average', 'daily')
        group by latest.client_id, latest.period_month, latest.service_id
    )

select
    latest.client_id,
    latest.period_month,
    latest.service_id,
    latest.contract_id,
    latest.contract_text,
    latest.billing_model,
    latest.tolerance_quantity,
    latest.unit_price as price,
    cast(latest.unit_price * latest.month_days + coalesce(weighed.dearer_days, 0) as decimal(28, 4)) as price_days,
    cast(
        coalesce(weighed.unit_days / cast(latest.month_days as decimal(18, 4)), latest.quantity) as decimal(18, 4)
    ) as contracted_quantity,
    cast(
        coalesce(weighed.amount_days / cast(latest.month_days as decimal(18, 4)), latest.amount) as decimal(28, 8)
    ) as contracted_amount
from latest
left join
    weighed
    on weighed.client_id = latest.client_id
    and weighed.period_month = latest.period_month
    and weighed.service_id = latest.service_id
