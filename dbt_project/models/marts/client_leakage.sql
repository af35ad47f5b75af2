with

    -- Each client's own open month: around the turn of a month clients in different time zones are in different ones.
    counted as (
        select
            coalesce(discrepancies.client_id, 'unmapped') as leak_client_id,
            clients.client_name as leak_client_name,
            discrepancies.currency,
            discrepancies.status,
            discrepancies.variance_amount,
            discrepancies.accumulated_amount,
            discrepancies.source_state in ('known', 'zero') as is_fresh,
            discrepancies.kind = 'invoice_mismatch' as is_mismatch,
            discrepancies.kind = 'below_cost' as is_below_cost,
            discrepancies.kind not in ('invoice_mismatch', 'below_cost') as is_usage,
            discrepancies.status in ('open', 'void', 'approved') as is_unsettled,
            discrepancies.period_month = cast(
                {{ dbt.date_trunc("month", "coalesce(clients.today_on, cast(clock.as_of_at as date))") }} as date
            ) as is_newest,
            cast(0 as decimal(18, 4)) as given_up_amount
        from {{ ref("discrepancies") }} as discrepancies
        cross join {{ ref("stg_morton__clock") }} as clock
        left join {{ ref("int_clients") }} as clients on clients.client_id = discrepancies.client_id
        where not discrepancies.is_within_tolerance
        union all
        -- Also of rows that are no more: what was given up stays given up. What we owed and kept is no cost of ours.
        select
            coalesce(decisions.client_id, 'unmapped') as leak_client_id,
            clients.client_name as leak_client_name,
            decisions.currency,
            cast(null as {{ dbt.type_string() }}) as status,
            cast(0 as decimal(18, 4)) as variance_amount,
            cast(0 as decimal(18, 4)) as accumulated_amount,
            true as is_fresh,
            false as is_mismatch,
            false as is_below_cost,
            false as is_usage,
            false as is_unsettled,
            false as is_newest,
            decisions.amount as given_up_amount
        from {{ ref("stg_ledger__decisions") }} as decisions
        left join {{ ref("int_clients") }} as clients on clients.client_id = decisions.client_id
        where decisions.is_latest and decisions.action = 'write_off' and decisions.amount > 0
    )

select
    leak_client_id as client_id,
    coalesce(max(leak_client_name), 'Companies mapped to no client') as client_name,
    currency,
    cast(
        sum(
            case when is_newest and is_unsettled and is_usage and variance_amount > 0 then variance_amount else 0 end
        ) as decimal(18, 4)
    ) as under_billed_amount,
    cast(
        sum(
            case when is_newest and is_unsettled and is_usage and variance_amount < 0 then variance_amount else 0 end
        ) as decimal(18, 4)
    ) as over_billed_amount,
    cast(
        sum(case when is_unsettled and is_mismatch then variance_amount else 0 end) as decimal(18, 4)
    ) as invoice_mismatch_amount,
    cast(
        sum(case when is_newest and is_unsettled and is_below_cost then variance_amount else 0 end) as decimal(18, 4)
    ) as below_cost_amount,
    cast(
        sum(
            case
                when is_newest and is_unsettled and is_usage and variance_amount > 0
                then coalesce(accumulated_amount, 0)
                else 0
            end
        ) as decimal(18, 4)
    ) as accumulated_amount,
    cast(
        sum(case when is_newest and status = 'written_off' then variance_amount else 0 end) as decimal(18, 4)
    ) as written_off_amount,
    cast(
        sum(case when is_newest and status = 'invoiced' then variance_amount else 0 end) as decimal(18, 4)
    ) as invoiced_amount,
    cast(sum(case when is_newest and status in ('open', 'void') then 1 else 0 end) as bigint) as open_row_count,
    cast(sum(case when is_newest and not is_fresh then 1 else 0 end) as bigint) as not_fresh_row_count,
    cast(sum(given_up_amount) as decimal(18, 4)) as written_off_total_amount
from counted
group by leak_client_id, currency
