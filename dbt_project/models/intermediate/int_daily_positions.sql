-- Every day of every service a client has or had: what was observed, what the contract makes of it, and the difference
-- in units and in money. Amounts are those of a whole month that stands as the day does.
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

    days as (
        select firsts.client_id, firsts.service_id, {{ each_day("firsts.first_on", "clients.today_on") }} as quantity_on
        from firsts
        inner join {{ ref("int_clients") }} as clients on clients.client_id = firsts.client_id
        where clients.status <> 'internal' and firsts.first_on <= clients.today_on
    ),

    -- What a client has of a component inside its bundles; days on which nobody counted the bundle say nothing of it.
    covered as (
        select
            days.client_id,
            days.service_id,
            cast(days.quantity_on as date) as quantity_on,
            sum(coalesce(seen.observed_quantity, 0) * bundled.quantity_per_unit) as covered_quantity,
            min(case when firsts.first_observed_on <= days.quantity_on then 1 else 0 end) = 1 as is_bundle_observed
        from days
        inner join
            bundled
            on bundled.client_id = days.client_id
            and bundled.component_service_id = days.service_id
            and bundled.effective_from <= days.quantity_on
            and bundled.effective_to > days.quantity_on
        left join
            {{ ref("int_first_observed") }} as firsts
            on firsts.client_id = bundled.client_id
            and firsts.service_id = bundled.bundle_service_id
            and firsts.vendor = bundled.count_vendor
        left join
            {{ ref("int_observed_days") }} as seen
            on seen.client_id = bundled.client_id
            and seen.service_id = bundled.bundle_service_id
            and seen.vendor = bundled.count_vendor
            and seen.quantity_on = days.quantity_on
        group by days.client_id, days.service_id, cast(days.quantity_on as date)
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
            contracts.count_basis,
            contracts.notice_days,
            contracts.committed_until,
            case
                when contracts.committed_until > days.quantity_on then contracts.committed_quantity
            end as committed_quantity,
            coalesce(contracts.tolerance_quantity, 0) as tolerance_quantity,
            coalesce(contracts.count_vendor, services.count_vendor) as vendor,
            services.list_price
        from days
        inner join {{ ref("int_services") }} as services on services.service_id = days.service_id
        left join
            {{ ref("int_contract_versions") }} as contracts
            on contracts.client_id = days.client_id
            and contracts.service_id = days.service_id
            and contracts.effective_from <= days.quantity_on
            and contracts.effective_to > days.quantity_on
        -- Without its contract a bundle is only its components.
        where contracts.contract_id is not null or not services.is_counted_by_component
    ),

    -- After a contract has ended its prices still say what the service was worth, for a year; then the list price does.
    ended as (
        select
            client_id,
            service_id,
            contract_id,
            effective_to,
            lead(effective_to) over (partition by client_id, service_id order by effective_to) as next_ended_on
        from {{ ref("int_contract_versions") }}
        where effective_to < cast('9999-12-31' as date)
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
            end as chargeable_quantity,
            coalesce(
                contracted.contract_id,
                case
                    when {{ dbt.datediff("ended.effective_to", "contracted.quantity_on", "day") }} < 366
                    then ended.contract_id
                end
            ) as priced_by
        from contracted
        inner join
            {{ ref("int_first_observed") }} as firsts
            on firsts.client_id = contracted.client_id
            and firsts.service_id = contracted.service_id
            and firsts.vendor = contracted.vendor
            and firsts.first_observed_on <= contracted.quantity_on
        left join
            {{ ref("int_observed_days") }} as seen
            on seen.client_id = contracted.client_id
            and seen.service_id = contracted.service_id
            and seen.vendor = contracted.vendor
            and seen.quantity_on = contracted.quantity_on
        left join
            covered
            on covered.client_id = contracted.client_id
            and covered.service_id = contracted.service_id
            and covered.quantity_on = contracted.quantity_on
        left join
            ended
            on ended.client_id = contracted.client_id
            and ended.service_id = contracted.service_id
            and ended.effective_to <= contracted.quantity_on
            and (ended.next_ended_on is null or ended.next_ended_on > contracted.quantity_on)
        where coalesce(covered.is_bundle_observed, true)
    ),

    -- What has gone is still chargeable while its notice lasts.
    noticed as (
        select
            observed.client_id, observed.service_id, observed.quantity_on, max(earlier.chargeable_quantity) as quantity
        from observed
        inner join
            observed as earlier
            on earlier.client_id = observed.client_id
            and earlier.service_id = observed.service_id
            and earlier.quantity_on <= observed.quantity_on
            and earlier.quantity_on >= {{ plus_days("-observed.notice_days", "observed.quantity_on") }}
        where observed.notice_days > 0
        group by observed.client_id, observed.service_id, observed.quantity_on
    ),

    charged as (
        select observed.*, coalesce(noticed.quantity, observed.chargeable_quantity) as charged_quantity
        from observed
        left join
            noticed
            on noticed.client_id = observed.client_id
            and noticed.service_id = observed.service_id
            and noticed.quantity_on = observed.quantity_on
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
            billed.quantity_on,
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
            cast(variance_amount / {{ days_in_month("quantity_on") }} as decimal(28, 8)) as day_amount
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
