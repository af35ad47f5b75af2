-- What a period of a service comes to under the contract's own basis: its end, its peak, its average, or day by day. A
-- period has a part under contract and, where its end is under none, a part without; each is priced by its own
-- versions. Amounts are in money of the period, not rounded yet.
with

    -- The last that stands of a service in a month: of a bundle nothing does once its contract has ended.
    closings as (
        select client_id, service_id, vendor, period_month
        from
            (
                select
                    client_id,
                    service_id,
                    vendor,
                    period_month,
                    row_number() over (
                        partition by client_id, service_id, period_month order by position_from desc
                    ) as place
                from {{ ref("int_positions") }}
            ) as placed
        where place = 1
    ),

    -- Stretches never go beyond their month.
    stretches as (
        select
            sources.last_on,
            sources.measured_on,
            sources.is_late_measured,
            positions.*,
            {{ plus_days(-1, "positions.position_to") }} as stands_until_on,
            positions.contract_id is not null as is_contracted
        from {{ ref("int_period_sources") }} as sources
        inner join
            {{ ref("int_positions") }} as positions
            on positions.client_id = sources.client_id
            and positions.service_id = sources.service_id
            and positions.period_month = sources.period_month
            and positions.position_from <= sources.last_on
        inner join
            closings
            on closings.client_id = sources.client_id
            and closings.service_id = sources.service_id
            and closings.vendor = sources.vendor
            and closings.period_month = sources.period_month
    ),

    anchors as (
        select
            stretches.client_id,
            stretches.service_id,
            stretches.period_month,
            max(case when is_contracted then stands_until_on end) as contracted_on,
            max(case when not is_contracted and stands_until_on = last_on then last_on end) as uncontracted_on,
            max(last_on) as last_on,
            -- The days that were read; those on which no contract names a bundle are days of it all the same.
            case
                when services.is_counted_by_component
                then
                    {{
                        dbt.datediff(
                            "case when max(firsts.first_observed_on) > stretches.period_month then max(firsts.first_observed_on) else stretches.period_month end",
                            "max(last_on)",
                            "day",
                        )
                    }}
                    + 1
                else sum(day_count)
            end as period_days
        from stretches
        inner join {{ ref("int_services") }} as services on services.service_id = stretches.service_id
        inner join
            {{ ref("int_first_observed") }} as firsts
            on firsts.client_id = stretches.client_id
            and firsts.service_id = stretches.service_id
            and firsts.vendor = stretches.vendor
        group by stretches.client_id, stretches.service_id, stretches.period_month, services.is_counted_by_component
    ),

    -- Each part and the day that decides it; a contract that ended inside the month decides how its end is counted too.
    parts as (
        select
            anchors.client_id,
            anchors.service_id,
            anchors.period_month,
            true as is_contracted,
            anchors.contracted_on as decided_on,
            anchors.period_month as part_from,
            anchors.period_days,
            stretches.count_basis
        from anchors
        inner join
            stretches
            on stretches.client_id = anchors.client_id
            and stretches.service_id = anchors.service_id
            and stretches.period_month = anchors.period_month
            and stretches.stands_until_on = anchors.contracted_on
        where stretches.count_basis <> 'period_end' or anchors.contracted_on = anchors.last_on
        union all
        select
            anchors.client_id,
            anchors.service_id,
            anchors.period_month,
            false as is_contracted,
            anchors.uncontracted_on as decided_on,
            case
                when anchors.contracted_on is null
                then anchors.period_month
                else {{ plus_days(1, "anchors.contracted_on") }}
            end as part_from,
            anchors.period_days,
            coalesce(stretches.count_basis, 'period_end') as count_basis
        from anchors
        left join
            stretches
            on stretches.client_id = anchors.client_id
            and stretches.service_id = anchors.service_id
            and stretches.period_month = anchors.period_month
            and stretches.stands_until_on = anchors.contracted_on
        -- A peak under contract stands for the whole month.
        where anchors.uncontracted_on is not null and coalesce(stretches.count_basis, '') <> 'peak'
    ),

    in_parts as (
        select parts.part_from, parts.decided_on, parts.period_days, parts.count_basis as part_basis, stretches.*
        from parts
        inner join
            stretches
            on stretches.client_id = parts.client_id
            and stretches.service_id = parts.service_id
            and stretches.period_month = parts.period_month
            and stretches.is_contracted = parts.is_contracted
            and stretches.position_from >= parts.part_from
            and stretches.position_from <= parts.decided_on
        where parts.count_basis <> 'period_end' or stretches.stands_until_on = parts.decided_on
    ),

    -- The stretch that speaks for a part: its peak, or its last.
    speaking as (
        select
            client_id,
            service_id,
            period_month,
            is_contracted,
            position_from,
            count(*) over (partition by client_id, service_id, period_month) as part_count
        from
            (
                select
                    client_id,
                    service_id,
                    period_month,
                    is_contracted,
                    position_from,
                    row_number() over (
                        partition by client_id, service_id, period_month, is_contracted
                        order by case when part_basis = 'peak' then billable_quantity end desc, position_from desc
                    ) as place
                from in_parts
            ) as placed
        where place = 1
    ),

    -- Day by day, or on average over the days that were read: every day has its share, and the parts add up.
    summed as (
        select
            client_id,
            service_id,
            period_month,
            is_contracted,
            min(position_from) as counted_from,
            sum(day_count) as day_count,
            cast(
                case
                    part_basis
                    when 'daily'
                    then extract(day from {{ dbt.last_day("period_month", "month") }})
                    else max(period_days)
                end as decimal(18, 4)
            ) as divisor,
            sum(observed_quantity * day_count) as observed_quantity,
            sum(billable_quantity * day_count) as billable_quantity,
            sum(coalesce(contracted_quantity, 0) * day_count) as contracted_quantity,
            sum(billable_amount * day_count) as billable_amount,
            sum(contracted_amount * day_count) as contracted_amount,
            count(distinct coalesce(contract_text, '')) as version_count,
            {{ dbt.listagg("distinct contract_text", "' then '", "order by contract_text") }} as contract_text
        from in_parts
        where part_basis in ('average', 'daily')
        group by client_id, service_id, period_month, is_contracted, part_basis
    ),

    -- What a peak is held against is what the month ends with: that is what the recurring invoice bills.
    closing as (select * from in_parts where part_basis = 'peak' and stands_until_on = decided_on),

    -- A month that was measured late has its count from a later day, under the terms of its own end.
    late as (
        select
            decided.client_id,
            decided.service_id,
            decided.period_month,
            decided.priced_by,
            decided.price as list_price,
            measured.observed_quantity,
            measured.began_on,
            {{ amount_by("measured", "decided.measured_on") }} as accumulated_amount,
            {{ unit_days_by("measured", "decided.measured_on") }} as lost_unit_days,
            measured.run,
            case when decided.notice_days > 0 then measured.noticed_quantity else 0 end + case
                when decided.covered_quantity is null
                then measured.observed_quantity
                when measured.observed_quantity > coalesce(measured.covered_quantity, decided.covered_quantity)
                then measured.observed_quantity - coalesce(measured.covered_quantity, decided.covered_quantity)
                else 0
            end as charged_quantity,
            decided.billing_model,
            decided.minimum_quantity,
            decided.included_quantity,
            decided.committed_quantity,
            decided.contracted_quantity as quantity
        from in_parts as decided
        inner join
            {{ ref("int_positions") }} as measured
            on measured.client_id = decided.client_id
            and measured.service_id = decided.service_id
            and measured.vendor = decided.vendor
            and {{ stands_on("measured", "decided.measured_on") }}
        where decided.is_late_measured and decided.part_basis = 'period_end'
    ),

    late_billed as (
        select late.*, {{ billable_quantity("charged_quantity", "late", "committed_quantity") }} as billable_quantity
        from late
    ),

    late_priced as (
        select
            late_billed.*,
            coalesce(steps.unit_price, late_billed.list_price) as price,
            case
                when late_billed.priced_by is null
                then cast(late_billed.billable_quantity * late_billed.list_price as decimal(28, 8))
                else {{ amount_in_step("late_billed.billable_quantity", "steps") }}
            end as billable_amount
        from late_billed
        left join
            {{ ref("int_price_tiers") }} as steps
            on steps.contract_id = late_billed.priced_by
            and {{ is_in_step("late_billed.billable_quantity", "steps") }}
    )

select
    chosen.client_id,
    chosen.service_id,
    chosen.vendor,
    chosen.period_month,
    chosen.last_on,
    chosen.part_basis as count_basis,
    chosen.part_from,
    speaking.part_count > 1 as is_in_parts,
    chosen.contract_id,
    coalesce(summed.contract_text, chosen.contract_text) as contract_text,
    chosen.billing_model,
    chosen.minimum_quantity,
    chosen.included_quantity,
    chosen.committed_quantity,
    chosen.committed_until,
    chosen.notice_days,
    chosen.tolerance_quantity,
    chosen.is_list_price,
    chosen.covered_quantity,
    coalesce(late_priced.charged_quantity, chosen.charged_quantity) as charged_quantity,
    coalesce(late_priced.price, chosen.price) as price,
    late_priced.client_id is not null as is_late_measured,
    case when late_priced.client_id is not null then chosen.measured_on else chosen.stands_until_on end as measured_on,
    summed.counted_from,
    summed.day_count,
    coalesce(summed.version_count, 1) as version_count,
    summed.divisor,
    cast(
        coalesce(
            summed.observed_quantity / summed.divisor, late_priced.observed_quantity, chosen.observed_quantity
        ) as decimal(18, 4)
    ) as observed_quantity,
    cast(
        coalesce(
            summed.billable_quantity / summed.divisor, late_priced.billable_quantity, chosen.billable_quantity
        ) as decimal(18, 4)
    ) as billable_quantity,
    cast(
        coalesce(
            summed.contracted_quantity / summed.divisor, closing.contracted_quantity, chosen.contracted_quantity, 0
        ) as decimal(18, 4)
    ) as contracted_quantity,
    cast(
        coalesce(
            summed.billable_amount / summed.divisor, late_priced.billable_amount, chosen.billable_amount
        ) as decimal(28, 8)
    ) as billable_amount,
    cast(
        coalesce(
            summed.contracted_amount / summed.divisor, closing.contracted_amount, chosen.contracted_amount
        ) as decimal(28, 8)
    ) as contracted_amount,
    late_priced.began_on as late_began_on,
    late_priced.accumulated_amount as late_accumulated_amount,
    late_priced.lost_unit_days as late_lost_unit_days,
    late_priced.run as late_run
from speaking
inner join
    in_parts as chosen
    on chosen.client_id = speaking.client_id
    and chosen.service_id = speaking.service_id
    and chosen.period_month = speaking.period_month
    and chosen.is_contracted = speaking.is_contracted
    and chosen.position_from = speaking.position_from
left join
    summed
    on summed.client_id = chosen.client_id
    and summed.service_id = chosen.service_id
    and summed.period_month = chosen.period_month
    and summed.is_contracted = chosen.is_contracted
left join
    closing
    on closing.client_id = chosen.client_id
    and closing.service_id = chosen.service_id
    and closing.period_month = chosen.period_month
    and closing.is_contracted = chosen.is_contracted
left join
    late_priced
    on late_priced.client_id = chosen.client_id
    and late_priced.service_id = chosen.service_id
    and late_priced.period_month = chosen.period_month
