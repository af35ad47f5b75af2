with

counted as (
    select
        discrepancies.*,
        coalesce(discrepancies.client_id, 'unmapped') as leak_client_id,
        source_state in ('known', 'zero') as is_fresh,
        discrepancies.period_month = max(discrepancies.period_month) over () as is_newest
    from {{ ref('discrepancies') }} as discrepancies
    where not is_within_tolerance
)

select
    counted.leak_client_id as client_id,
    coalesce(max(clients.client_name), 'Companies mapped to no client') as client_name,
    counted.currency,
    cast(sum(case when is_newest and counted.status in ('open', 'void', 'approved') and variance_amount > 0 and kind <> 'invoice_mismatch' then variance_amount else 0 end) as decimal(18, 4)) as under_billed_amount,
    cast(sum(case when is_newest and counted.status in ('open', 'void', 'approved') and variance_amount < 0 and kind <> 'invoice_mismatch' then variance_amount else 0 end) as decimal(18, 4)) as over_billed_amount,
    cast(sum(case when counted.status in ('open', 'void', 'approved') and kind = 'invoice_mismatch' then variance_amount else 0 end) as decimal(18, 4)) as invoice_mismatch_amount,
    cast(sum(case when is_newest and variance_amount > 0 then coalesce(accumulated_amount, 0) else 0 end) as decimal(18, 4)) as accumulated_amount,
    cast(sum(case when counted.status = 'written_off' then variance_amount else 0 end) as decimal(18, 4)) as written_off_amount,
    cast(sum(case when counted.status = 'invoiced' then variance_amount else 0 end) as decimal(18, 4)) as invoiced_amount,
    cast(sum(case when is_newest and counted.status in ('open', 'void') then 1 else 0 end) as bigint) as open_row_count,
    cast(sum(case when is_newest and not is_fresh then 1 else 0 end) as bigint) as not_fresh_row_count
from counted
left join {{ ref('int_clients') }} as clients on clients.client_id = counted.leak_client_id
group by counted.leak_client_id, counted.currency
