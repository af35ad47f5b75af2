-- One row per period, client, service and part of the period whose billable quantity differs from the contracted one.
with

    -- A component is judged by what its bundles hold: it is known as far as they are.
    bundle_states as (
        select
            contracts.client_id,
            bundles.component_service_id as service_id,
            sources.period_month,
            max(case when sources.source_state = 'unknown' then 1 else 0 end) as is_unknown,
            max(case when sources.source_state = 'partial' then 1 else 0 end) as is_partial,
            max(case when sources.source_state = 'stale' then 1 else 0 end) as is_stale,
            max(case when sources.source_state = 'known' then 1 else 0 end) as is_known,
            min(sources.source_as_of_at) as source_as_of_at,
            min(sources.last_seen_on) as last_seen_on
        from {{ ref("int_period_sources") }} as sources
        inner join
            {{ ref("int_contract_versions") }} as contracts
            on contracts.client_id = sources.client_id
            and contracts.service_id = sources.service_id
            and contracts.count_vendor = sources.vendor
            and contracts.effective_from <= sources.last_on
            and contracts.effective_to > sources.last_on
        inner join {{ ref("int_bundles") }} as bundles on bundles.bundle_service_id = contracts.service_id
        group by contracts.client_id, bundles.component_service_id, sources.period_month
    ),

    sourced as (
        select
            periods.*,
            sources.is_open,
            case
                when bundle_states.is_unknown = 1 or sources.source_state = 'unknown'
                then 'unknown'
                when bundle_states.is_partial = 1 or sources.source_state = 'partial'
                then 'partial'
                -- Where only some of what feeds it is fresh, it is partial.
                when bundle_states.is_stale = 1 or sources.source_state = 'stale'
                then
                    case
                        when bundle_states.is_known = 1 or sources.source_state = 'known' then 'partial' else 'stale'
                    end
                -- A later reading tells of the end of a month, and not of its days.
                when sources.is_late_measured and periods.count_basis <> 'period_end'
                then 'stale'
                else sources.source_state
            end as source_state,
            case
                when bundle_states.source_as_of_at < sources.source_as_of_at
                then bundle_states.source_as_of_at
                else sources.source_as_of_at
            end as source_as_of_at,
            case
                when bundle_states.last_seen_on < sources.last_seen_on
                then bundle_states.last_seen_on
                else sources.last_seen_on
            end as last_seen_on
        from {{ ref("int_period_positions") }} as periods
        inner join
            {{ ref("int_period_sources") }} as sources
            on sources.client_id = periods.client_id
            and sources.service_id = periods.service_id
            and sources.vendor = periods.vendor
            and sources.period_month = periods.period_month
        left join
            bundle_states
            on bundle_states.client_id = periods.client_id
            and bundle_states.service_id = periods.service_id
            and bundle_states.period_month = periods.period_month
    ),

    valued as (
        select
            sourced.*,
            clients.client_name,
            clients.today_on,
            case when sourced.is_list_price then money.main_currency else clients.currency end as currency,
            services.service_name,
            services.unit,
            cast(sourced.billable_quantity - sourced.contracted_quantity as decimal(18, 4)) as variance_quantity,
            sourced.billable_amount - sourced.contracted_amount as unrounded_amount,
            {{ plus_days("-clients.back_bill_days", "clients.today_on") }} as recoverable_from
        from sourced
        inner join {{ ref("int_clients") }} as clients on clients.client_id = sourced.client_id
        inner join {{ ref("int_services") }} as services on services.service_id = sourced.service_id
        cross join {{ ref("int_money") }} as money
    ),

    -- What is suspended can be used by nobody, and a distributor charges for it all the same: as long as it does, the
    -- client owes what was agreed. It is a cost without use, which the margins tell, and nothing to give back.
    seats as (
        select
            spells.client_id,
            spells.service_id,
            spells.vendor,
            spells.unit_count,
            spells.spell_from,
            spells.spell_to,
            distributors.vendor is not null as is_charged
        from {{ ref("int_spells") }} as spells
        left join
            (select distinct vendor from {{ ref("int_list_roles") }} where is_distributor) as distributors
            on distributors.vendor = spells.vendor
            and spells.standing = 'counted'
        where
            distributors.vendor is not null
            or (spells.standing = 'excluded' and spells.standing_reason = 'suspended_sku')
    ),

    suspended as (
        select
            valued.client_id,
            valued.service_id,
            valued.period_month,
            valued.part_from,
            sum(case when seats.vendor = valued.vendor then seats.unit_count else 0 end) as suspended_quantity,
            sum(case when seats.is_charged then seats.unit_count else 0 end) as charged_quantity
        from valued
        inner join
            seats
            on seats.client_id = valued.client_id
            and seats.service_id = valued.service_id
            and seats.spell_from <= valued.measured_on
            and seats.spell_to > valued.measured_on
        where valued.variance_quantity < 0
        group by valued.client_id, valued.service_id, valued.period_month, valued.part_from
    ),

    varied as (
        select valued.*, {{ round_money("valued.unrounded_amount", "valued.currency") }} as variance_amount
        from valued
        left join
            suspended
            on suspended.client_id = valued.client_id
            and suspended.service_id = valued.service_id
            and suspended.period_month = valued.period_month
            and suspended.part_from = valued.part_from
            and suspended.suspended_quantity >= - valued.variance_quantity
            and suspended.charged_quantity >= valued.contracted_quantity
        where
            suspended.client_id is null
            and (
                valued.billable_quantity <> valued.contracted_quantity
                or coalesce({{ round_money("valued.unrounded_amount", "valued.currency") }}, 0) <> 0
            )
    ),

    -- Over the days of a part the run a row belongs to is the last with its sign: it may have ended since. That of a
    -- peak is the peak's own, which may go on.
    run_days as (
        select
            varied.client_id,
            varied.service_id,
            varied.period_month,
            varied.part_from,
            max({{ plus_days(-1, "positions.position_to") }}) as run_on
        from varied
        inner join
            {{ ref("int_positions") }} as positions
            on positions.client_id = varied.client_id
            and positions.service_id = varied.service_id
            and positions.period_month = varied.period_month
            and positions.position_from >= varied.part_from
            and positions.position_from <= varied.last_on
            and (positions.contract_id is null) = (varied.contract_id is null)
        left join
            {{ ref("int_positions") }} as peaks
            on varied.count_basis = 'peak'
            and peaks.client_id = varied.client_id
            and peaks.service_id = varied.service_id
            and {{ stands_on("peaks", "varied.measured_on") }}
        where
            positions.run = peaks.run
            or (varied.count_basis in ('average', 'daily') and positions.variance_sign = sign(varied.variance_quantity))
        group by varied.client_id, varied.service_id, varied.period_month, varied.part_from
    ),

    decided as (
        select
            varied.*,
            case
                when varied.is_late_measured then varied.last_on else coalesce(run_days.run_on, varied.measured_on)
            end as run_on
        from varied
        left join
            run_days
            on run_days.client_id = varied.client_id
            and run_days.service_id = varied.service_id
            and run_days.period_month = varied.period_month
            and run_days.part_from = varied.part_from
    ),

    dated as (
        select
            decided.*,
            case when decided.is_late_measured then decided.measured_on else decided.run_on end as summed_to,
            coalesce(decided.late_run, positions.run) as run,
            positions.is_in_another_currency,
            coalesce(decided.late_began_on, positions.began_on) as run_began_on,
            coalesce(
                decided.late_accumulated_amount, {{ amount_by("positions", "decided.run_on") }}
            ) as accumulated_amount,
            coalesce(decided.late_lost_unit_days, {{ unit_days_by("positions", "decided.run_on") }}) as lost_unit_days
        from decided
        inner join
            {{ ref("int_positions") }} as positions
            on positions.client_id = decided.client_id
            and positions.service_id = decided.service_id
            and {{ stands_on("positions", "decided.run_on") }}
    ),

    begun as (select *, case when run_began_on < last_on then run_began_on else last_on end as began_on from dated)

select
    begun.*,
    case
        when begun.contract_id is null and (begun.covered_quantity is null or begun.is_in_parts)
        then 'no_contract'
        when begun.contract_id is not null and begun.observed_quantity = 0
        then 'no_usage'
        -- Where a tier makes more units cost less, it is the money that says who owes whom.
        when coalesce(nullif(begun.variance_amount, 0), begun.variance_quantity) > 0
        then 'under_billed'
        else 'over_billed'
    end as kind,
    case
        -- What has no price has nothing to recover, and not zero of it.
        when begun.recoverable_from > begun.summed_to and begun.accumulated_amount is not null
        then 0
        when lost.client_id is null
        then begun.accumulated_amount
        else begun.accumulated_amount - {{ amount_by("lost", plus_days(-1, "begun.recoverable_from")) }}
    end as unlapsed_amount
from begun
left join
    {{ ref("int_positions") }} as lost
    on lost.client_id = begun.client_id
    and lost.service_id = begun.service_id
    and lost.run = begun.run
    and lost.is_in_another_currency = begun.is_in_another_currency
    and {{ stands_on("lost", plus_days(-1, "begun.recoverable_from")) }}
    and {{ plus_days(-1, "begun.recoverable_from") }} < begun.summed_to
where
    -- What began after the last good reading was not seen by anybody: it is not a finding yet.
    begun.source_state = 'known' or begun.began_on <= begun.last_seen_on
