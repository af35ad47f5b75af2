-- What stands for every service a client has or had, from one day to another: what was observed, what the contract
-- makes of it, and the difference in units and in money. A stretch lasts while nothing changes, and never beyond its
-- month. Amounts are those of a whole month that stands as the stretch does.
with

    bundled as (
        select
            contracts.client_id,
            contracts.service_id as bundle_service_id,
            contracts.count_vendor,
            contracts.effective_from,
            contracts.effective_to,
            bundles.component_service_id,
            bundles.quantity_per_unit
        from {{ ref("int_contract_versions") }} as contracts
        inner join {{ ref("int_bundles") }} as bundles on bundles.bundle_service_id = contracts.service_id
    ),

    pairs as (
        select client_id, service_id
        from {{ ref("int_contract_versions") }}
        union
        select client_id, service_id
        from {{ ref("int_quantity_steps") }}
        union
        select client_id, component_service_id as service_id
        from bundled
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

    spans as (
        select firsts.client_id, firsts.service_id, firsts.first_on, clients.today_on
        from firsts
        inner join {{ ref("int_clients") }} as clients on clients.client_id = firsts.client_id
        where clients.status <> 'internal' and firsts.first_on <= clients.today_on
    ),

    months as (
        select distinct cast({{ dbt.date_trunc("month", "day_on") }} as date) as month_on
        from
            (
                select {{ each_day("first_on", "last_on") }} as day_on
                from (select min(first_on) as first_on, max(today_on) as last_on from spans) as bounds
                where first_on is not null
            ) as days
    ),

    -- Every day on which something about a service may become another.
    versions as (
        select client_id, service_id, effective_from as point_on
        from {{ ref("int_contract_versions") }}
        union
        select client_id, service_id, effective_to as point_on
        from {{ ref("int_contract_versions") }}
        union
        select client_id, service_id, committed_until as point_on
        from {{ ref("int_contract_versions") }}
        union
        -- For a year the price of a contract that has ended is still known.
        select client_id, service_id, {{ plus_days(366, "effective_to") }} as point_on
        from {{ ref("int_contract_versions") }}
        where effective_to < cast('9999-12-31' as date)
    ),

    counts as (
        select client_id, service_id, quantity_from as point_on
        from {{ ref("int_quantity_steps") }}
        union
        select client_id, service_id, first_observed_on as point_on
        from {{ ref("int_first_observed") }}
    ),

    notices as (
        select distinct contracts.client_id, contracts.service_id, services.counted_as, contracts.notice_days
        from {{ ref("int_contract_versions") }} as contracts
        inner join {{ ref("int_services") }} as services on services.service_id = contracts.service_id
        where contracts.notice_days > 0
    ),

    -- What its tool no longer tells of, or says is fewer or out of use: not what we leave out, map elsewhere or bundle.
    leavers as (
        select
            noticed.client_id,
            noticed.service_id,
            turns.vendor,
            turns.turned_on as left_on,
            sum(
                turns.from_quantity - case when turns.to_standing = 'counted' then turns.to_quantity else 0 end
            ) as quantity
        from {{ ref("int_record_turns") }} as turns
        inner join
            (select distinct client_id, service_id, counted_as from notices) as noticed
            on noticed.client_id = turns.from_client_id
            and noticed.counted_as = turns.from_service_id
        where
            turns.from_standing = 'counted'
            and (
                turns.to_standing is null
                or (
                    turns.to_client_id = turns.from_client_id
                    and coalesce(turns.to_service_id, turns.from_service_id) = turns.from_service_id
                    and (
                        turns.to_standing = 'unknown_state'
                        or (turns.to_standing = 'counted' and turns.to_quantity < turns.from_quantity)
                        or (turns.to_standing = 'excluded' and turns.to_reason not like 'exclusion %')
                    )
                )
            )
        group by noticed.client_id, noticed.service_id, turns.vendor, turns.turned_on
    ),

    own_points as (
        select client_id, service_id, point_on
        from versions
        union
        select client_id, service_id, point_on
        from counts
        union
        select client_id, service_id, left_on as point_on
        from leavers
        union
        select bundled.client_id, bundled.component_service_id as service_id, points.point_on
        from bundled
        inner join
            (
                select client_id, service_id, point_on
                from versions
                union
                select client_id, service_id, point_on
                from counts
            ) as points
            on points.client_id = bundled.client_id
            and points.service_id = bundled.bundle_service_id
    ),

    points as (
        select client_id, service_id, first_on as point_on
        from spans
        union
        select spans.client_id, spans.service_id, months.month_on as point_on
        from spans
        cross join months
        union
        select client_id, service_id, point_on
        from own_points
        union
        select
            own_points.client_id,
            own_points.service_id,
            {{ plus_days("notices.notice_days", "own_points.point_on") }} as point_on
        from own_points
        inner join notices on notices.client_id = own_points.client_id and notices.service_id = own_points.service_id
        where own_points.point_on < cast('9999-01-01' as date)
    ),

    stretches as (
        select
            points.client_id,
            points.service_id,
            points.point_on as position_from,
            coalesce(
                lead(points.point_on) over (partition by points.client_id, points.service_id order by points.point_on),
                {{ plus_days(1, "spans.today_on") }}
            ) as position_to
        from points
        inner join
            spans
            on spans.client_id = points.client_id
            and spans.service_id = points.service_id
            and spans.first_on <= points.point_on
            and spans.today_on >= points.point_on
    ),

    -- The same record may be seen through several connections of one vendor: they add up.
    seen as (
        select
            stretches.client_id,
            stretches.service_id,
            stretches.position_from,
            steps.vendor,
            {{ dbt.listagg("steps.connection_id", "', '", "order by steps.connection_id") }} as connection_ids,
            cast(sum(steps.quantity) as decimal(18, 4)) as observed_quantity
        from stretches
        inner join
            {{ ref("int_quantity_steps") }} as steps
            on steps.client_id = stretches.client_id
            and steps.service_id = stretches.service_id
            and steps.quantity_from <= stretches.position_from
            and steps.quantity_to > stretches.position_from
            and steps.quantity <> 0
        group by stretches.client_id, stretches.service_id, stretches.position_from, steps.vendor
    ),

    -- What a client has of a component inside its bundles; where nobody counted the bundle, that says nothing of it.
    bundle_counts as (
        select
            stretches.client_id,
            stretches.service_id,
            stretches.position_from,
            bundled.bundle_service_id,
            max(bundled.quantity_per_unit) as quantity_per_unit,
            max(case when firsts.first_observed_on <= stretches.position_from then 1 else 0 end) as is_observed,
            coalesce(sum(steps.quantity), 0) as observed_quantity
        from stretches
        inner join
            bundled
            on bundled.client_id = stretches.client_id
            and bundled.component_service_id = stretches.service_id
            and bundled.effective_from <= stretches.position_from
            and bundled.effective_to > stretches.position_from
        left join
            {{ ref("int_first_observed") }} as firsts
            on firsts.client_id = bundled.client_id
            and firsts.service_id = bundled.bundle_service_id
            and firsts.vendor = bundled.count_vendor
        left join
            {{ ref("int_quantity_steps") }} as steps
            on steps.client_id = bundled.client_id
            and steps.service_id = bundled.bundle_service_id
            and steps.vendor = bundled.count_vendor
            and steps.quantity_from <= stretches.position_from
            and steps.quantity_to > stretches.position_from
        group by stretches.client_id, stretches.service_id, stretches.position_from, bundled.bundle_service_id
    ),

    covered as (
        select
            client_id,
            service_id,
            position_from,
            sum(observed_quantity * quantity_per_unit) as covered_quantity,
            min(is_observed) = 1 as is_bundle_observed
        from bundle_counts
        group by client_id, service_id, position_from
    ),

    -- After a contract has ended its tool still counts, and for a year its prices say what the service was worth; then
    -- the list price does.
    ended as (
        select
            client_id,
            service_id,
            contract_id,
            count_vendor,
            effective_to,
            lead(effective_to) over (partition by client_id, service_id order by effective_to) as next_ended_on
        from {{ ref("int_contract_versions") }}
        where effective_to < cast('9999-12-31' as date)
    ),

    contracted as (
        select
            stretches.client_id,
            stretches.service_id,
            stretches.position_from,
            stretches.position_to,
            contracts.contract_id,
            contracts.contract_text,
            contracts.quantity,
            contracts.billing_model,
            contracts.minimum_quantity,
            contracts.included_quantity,
            contracts.count_basis,
            contracts.notice_days,
            contracts.committed_until,
            case
                when contracts.committed_until > stretches.position_from then contracts.committed_quantity
            end as committed_quantity,
            coalesce(contracts.tolerance_quantity, 0) as tolerance_quantity,
            coalesce(
                contracts.contract_id,
                case
                    when {{ dbt.datediff("ended.effective_to", "stretches.position_from", "day") }} < 366
                    then ended.contract_id
                end
            ) as priced_by,
            coalesce(contracts.count_vendor, ended.count_vendor, services.count_vendor) as vendor,
            services.list_price
        from stretches
        inner join {{ ref("int_services") }} as services on services.service_id = stretches.service_id
        left join
            {{ ref("int_contract_versions") }} as contracts
            on contracts.client_id = stretches.client_id
            and contracts.service_id = stretches.service_id
            and contracts.effective_from <= stretches.position_from
            and contracts.effective_to > stretches.position_from
        left join
            ended
            on ended.client_id = stretches.client_id
            and ended.service_id = stretches.service_id
            and ended.effective_to <= stretches.position_from
            and (ended.next_ended_on is null or ended.next_ended_on > stretches.position_from)
        -- Without its contract a bundle is only its components.
        where contracts.contract_id is not null or not services.is_counted_by_component
    ),

    observed as (
        select
            contracted.*,
            coalesce(seen.observed_quantity, 0) as observed_quantity,
            seen.connection_ids,
            covered.covered_quantity,
            case
                when covered.covered_quantity is null
                then coalesce(seen.observed_quantity, 0)
                when coalesce(seen.observed_quantity, 0) > covered.covered_quantity
                then seen.observed_quantity - covered.covered_quantity
                else 0
            end as chargeable_quantity
        from contracted
        inner join
            {{ ref("int_first_observed") }} as firsts
            on firsts.client_id = contracted.client_id
            and firsts.service_id = contracted.service_id
            and firsts.vendor = contracted.vendor
            and firsts.first_observed_on <= contracted.position_from
        left join
            seen
            on seen.client_id = contracted.client_id
            and seen.service_id = contracted.service_id
            and seen.vendor = contracted.vendor
            and seen.position_from = contracted.position_from
        left join
            covered
            on covered.client_id = contracted.client_id
            and covered.service_id = contracted.service_id
            and covered.position_from = contracted.position_from
        where coalesce(covered.is_bundle_observed, true)
    ),

    -- What has left is still charged while its notice lasts, unless something else has come in its place.
    before as (
        select
            observed.client_id,
            observed.service_id,
            observed.position_from,
            max(earlier.chargeable_quantity) as quantity
        from observed
        inner join
            observed as earlier
            on earlier.client_id = observed.client_id
            and earlier.service_id = observed.service_id
            and earlier.position_from <= observed.position_from
            and earlier.position_to > {{ plus_days("-observed.notice_days", "observed.position_from") }}
        where observed.notice_days > 0
        group by observed.client_id, observed.service_id, observed.position_from
    ),

    left_since as (
        select observed.client_id, observed.service_id, observed.position_from, sum(leavers.quantity) as quantity
        from observed
        inner join
            leavers
            on leavers.client_id = observed.client_id
            and leavers.service_id = observed.service_id
            and leavers.vendor = observed.vendor
            and leavers.left_on <= observed.position_from
            and leavers.left_on > {{ plus_days("-observed.notice_days", "observed.position_from") }}
        where observed.notice_days > 0
        group by observed.client_id, observed.service_id, observed.position_from
    ),

    charged as (
        select
            observed.*,
            observed.chargeable_quantity + coalesce(
                least(coalesce(left_since.quantity, 0), before.quantity - observed.chargeable_quantity), 0
            ) as charged_quantity
        from observed
        left join
            before
            on before.client_id = observed.client_id
            and before.service_id = observed.service_id
            and before.position_from = observed.position_from
        left join
            left_since
            on left_since.client_id = observed.client_id
            and left_since.service_id = observed.service_id
            and left_since.position_from = observed.position_from
    ),

    billed as (
        select
            *,
            {{ billable_quantity("charged_quantity", "charged", "committed_quantity") }} as billable_quantity,
            coalesce(quantity, 0) as agreed_quantity
        from charged
    ),

    compared as (
        select
            billed.client_id,
            billed.service_id,
            billed.vendor,
            billed.position_from,
            billed.position_to,
            billed.connection_ids,
            billed.contract_id,
            billed.contract_text,
            billed.billing_model,
            billed.minimum_quantity,
            billed.included_quantity,
            billed.committed_quantity,
            billed.committed_until,
            billed.notice_days,
            billed.count_basis,
            billed.tolerance_quantity,
            billed.priced_by,
            billed.contract_id is null as is_estimate,
            billed.priced_by is null as is_list_price,
            cast(billed.observed_quantity as decimal(18, 4)) as observed_quantity,
            cast(billed.covered_quantity as decimal(18, 4)) as covered_quantity,
            cast(billed.charged_quantity as decimal(18, 4)) as charged_quantity,
            cast(billed.charged_quantity - billed.chargeable_quantity as decimal(18, 4)) as noticed_quantity,
            billed.quantity as contracted_quantity,
            billed.billable_quantity,
            coalesce(billable_step.unit_price, billed.list_price) as price,
            case
                when billed.priced_by is null
                then cast(billed.billable_quantity * billed.list_price as decimal(28, 8))
                else {{ amount_in_step("billed.billable_quantity", "billable_step") }}
            end as billable_amount,
            case
                when billed.contract_id is null
                then cast(0 as decimal(28, 8))
                else {{ amount_in_step("billed.agreed_quantity", "agreed_step") }}
            end as contracted_amount
        from billed
        left join
            {{ ref("int_price_tiers") }} as billable_step
            on billable_step.contract_id = billed.priced_by
            and {{ is_in_step("billed.billable_quantity", "billable_step") }}
        left join
            {{ ref("int_price_tiers") }} as agreed_step
            on agreed_step.contract_id = billed.contract_id
            and {{ is_in_step("billed.agreed_quantity", "agreed_step") }}
    ),

    signed as (
        select
            *,
            cast(billable_quantity - coalesce(contracted_quantity, 0) as decimal(18, 4)) as variance_quantity,
            billable_amount - contracted_amount as variance_amount,
            cast(sign(billable_quantity - coalesce(contracted_quantity, 0)) as integer) as variance_sign
        from compared
    ),

    -- What a run is told by, and no more of each stretch: the rest is long, and would be sorted with it.
    valued as (
        select
            signed.client_id,
            signed.service_id,
            signed.position_from,
            signed.position_to,
            signed.variance_quantity,
            signed.variance_sign,
            -- List prices are in the main currency: what is worth that is never added to what the client pays in its
            -- own.
            signed.is_list_price and clients.currency <> money.main_currency as is_in_another_currency,
            {{ dbt.datediff("signed.position_from", "signed.position_to", "day") }} as day_count,
            -- Finer than any row, whose sum is rounded once: a month of days is the month.
            cast(signed.variance_amount / {{ days_in_month("signed.position_from") }} as decimal(32, 14)) as day_amount
        from signed
        inner join {{ ref("int_clients") }} as clients on clients.client_id = signed.client_id
        cross join {{ ref("int_money") }} as money
    ),

    turned as (
        select
            *,
            case
                when
                    variance_sign = lag(variance_sign) over (partition by client_id, service_id order by position_from)
                    -- A bundle has no days between two of its contracts.
                    and position_from
                    = lag(position_to) over (partition by client_id, service_id order by position_from)
                then 0
                else 1
            end as is_turn
        from valued
    ),

    numbered as (
        select
            *,
            sum(is_turn) over (
                partition by client_id, service_id
                order by position_from
                rows between unbounded preceding and current row
            ) as run
        from turned
    ),

    runs as (
        select
            *,
            min(position_from) over (partition by client_id, service_id, run) as began_on,
            -- What the run has come to before this stretch; `amount_by` says what it comes to on a day of it.
            coalesce(
                sum(day_amount * day_count) over (
                    partition by client_id, service_id, run, is_in_another_currency
                    order by position_from
                    rows between unbounded preceding and 1 preceding
                ),
                0
            ) as amount_before,
            coalesce(
                sum(variance_quantity * day_count) over (
                    partition by client_id, service_id, run
                    order by position_from
                    rows between unbounded preceding and 1 preceding
                ),
                0
            ) as unit_days_before
        from numbered
    )

select
    signed.*,
    cast({{ dbt.date_trunc("month", "signed.position_from") }} as date) as period_month,
    runs.is_in_another_currency,
    runs.day_count,
    runs.day_amount,
    runs.run,
    runs.began_on,
    runs.amount_before,
    runs.unit_days_before
from signed
inner join
    runs
    on runs.client_id = signed.client_id
    and runs.service_id = signed.service_id
    and runs.position_from = signed.position_from
