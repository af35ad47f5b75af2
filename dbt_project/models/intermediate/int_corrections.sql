-- What a closed month would come to by what is known now, less what it was closed with: one row per client, service
-- and closed month, in the client's open month. Usage and the contract's share of an invoice mismatch are one
-- difference: a contract that is amended afterwards only moves units from one to the other, and nothing is owed for
-- that. What was never billed of a closed month is not given back, and what was never given back is not billed again:
-- first it takes from what stands open there, or was given up.
with

    at_closing as (
        select
            client_id,
            service_id,
            period_month,
            sum(variance_quantity) as quantity,
            sum(coalesce(variance_amount, 0)) as amount,
            max(case when variance_amount is null then 1 else 0 end) = 1 as is_unpriced,
            max(price) as price,
            max(currency) as currency,
            sum(lost_unit_days) as lost_unit_days,
            max(case when is_estimate then 1 else 0 end) = 1 as is_estimate,
            -- What was partial or unknown then can never be approved: only what was billed of it stands.
            min(case when state in ('known', 'zero', 'stale') then 1 else 0 end) = 1 as is_approvable
        from {{ ref("stg_morton__closed_findings") }}
        where kind in {{ usage_kinds() }}
        group by client_id, service_id, period_month
    ),

    -- A month whose sources are not known now says nothing new.
    checked as (
        select
            sources.client_id,
            sources.service_id,
            sources.period_month,
            sources.vendor,
            sources.measured_on,
            sources.source_as_of_at,
            measured.observed_quantity,
            measured.price
        from {{ ref("int_period_sources") }} as sources
        inner join
            {{ ref("stg_morton__closed_periods") }} as closed
            on closed.client_id = sources.client_id
            and closed.period_month = sources.period_month
        inner join
            {{ ref("int_positions") }} as ended
            on ended.client_id = sources.client_id
            and ended.service_id = sources.service_id
            and ended.vendor = sources.vendor
            and {{ stands_on("ended", "sources.last_on") }}
        inner join
            {{ ref("int_positions") }} as measured
            on measured.client_id = sources.client_id
            and measured.service_id = sources.service_id
            and measured.vendor = sources.vendor
            and {{ stands_on("measured", "sources.measured_on") }}
        where sources.source_state = 'known'
    ),

    -- A month whose contract ended in it may have a part under contract and one without: they are one difference.
    variances as (
        select
            client_id,
            service_id,
            period_month,
            vendor,
            min(run) as run,
            min(began_on) as began_on,
            sum(variance_quantity) as variance_quantity,
            case
                when min(case when variance_amount is null then 0 else 1 end) = 1 then sum(variance_amount)
            end as variance_amount,
            max(price) as price,
            max(currency) as currency,
            sum(lost_unit_days) as lost_unit_days,
            max(case when contract_id is null then 1 else 0 end) = 1 as is_uncontracted
        from {{ ref("int_usage_variances") }}
        group by client_id, service_id, period_month, vendor
    ),

    -- What nothing has to count is checked by its contract alone.
    flat as (
        select client_id, service_id, period_month
        from {{ ref("int_period_terms") }}
        where contract_text is not null
        group by client_id, service_id, period_month
        having min(case when billing_model = 'flat' then 1 else 0 end) = 1
    ),

    sent as (
        select
            lines.client_id,
            lines.service_id,
            closed.period_month,
            sum(lines.quantity) as quantity,
            sum(lines.amount) as amount,
            max(lines.currency) as currency
        from {{ ref("stg_ledger__invoice_lines") }} as lines
        inner join {{ ref("stg_morton__closed_periods") }} as closed on closed.client_id = lines.client_id
        where
            lines.state = 'posted'
            and lines.kind = 'correction'
            and lines.discrepancy_id
            = {{ discrepancy_id("closed.period_month", "lines.client_id", "lines.service_id", "'correction'") }}
        group by lines.client_id, lines.service_id, closed.period_month
        having sum(lines.quantity) <> 0 or sum(lines.amount) <> 0
    ),

    -- In another currency than it is in now, a mismatch is worth what its units are.
    mismatches as (
        select
            found.client_id,
            found.service_id,
            found.period_month,
            found.is_as_closed,
            found.variance_quantity as quantity,
            case
                when found.currency = clients.currency
                then found.variance_amount
                else
                    {{
                        round_money(
                            "found.variance_quantity * coalesce(agreed.price, found.price)", "clients.currency"
                        )
                    }}
            end as amount,
            coalesce(billed.quantity, 0) as billed_quantity,
            coalesce(billed.amount, 0) as billed_amount
        from {{ ref("int_invoice_mismatches") }} as found
        inner join
            {{ ref("stg_morton__closed_periods") }} as closed
            on closed.client_id = found.client_id
            and closed.period_month = found.period_month
        inner join {{ ref("int_clients") }} as clients on clients.client_id = found.client_id
        left join
            {{ ref("int_period_terms") }} as agreed
            on agreed.client_id = found.client_id
            and agreed.service_id = found.service_id
            and agreed.period_month = found.period_month
            and not agreed.is_as_closed
        left join
            (
                select client_id, service_id, period_month, sum(quantity) as quantity, sum(amount) as amount
                from {{ ref("stg_ledger__invoice_lines") }}
                where state = 'posted' and kind = 'invoice_mismatch'
                group by client_id, service_id, period_month
            ) as billed
            on billed.client_id = found.client_id
            and billed.service_id = found.service_id
            and billed.period_month = found.period_month
            and found.is_as_closed
    ),

    shifted as (
        select
            client_id,
            service_id,
            period_month,
            sum(case when is_as_closed then - quantity else quantity end) as quantity,
            sum(case when is_as_closed then - amount else amount end) as amount,
            sum(case when is_as_closed then quantity - billed_quantity else 0 end) as open_quantity,
            sum(case when is_as_closed then amount - billed_amount else 0 end) as open_amount
        from mismatches
        group by client_id, service_id, period_month
    ),

    subjects as (
        select client_id, service_id, period_month
        from checked
        union
        select client_id, service_id, period_month
        from flat
        union
        select client_id, service_id, period_month
        from sent
    ),

    joined as (
        select
            subjects.client_id,
            subjects.service_id,
            subjects.period_month as corrects_month,
            opened.period_month,
            opened.last_on,
            clients.client_name,
            services.service_name,
            checked.vendor,
            checked.observed_quantity,
            coalesce(checked.measured_on, {{ dbt.last_day("subjects.period_month", "month") }}) as measured_on,
            coalesce(checked.source_as_of_at, clock.as_of_at) as source_as_of_at,
            coalesce(checked.client_id, flat.client_id) is not null as is_checked,
            coalesce(agreed.contracted_quantity, 0) as contracted_quantity,
            coalesce(agreed.contract_text, '') as contract_text,
            coalesce(agreed_then.contract_text, '') as contract_text_then,
            coalesce(agreed.tolerance_quantity, 0) as tolerance_quantity,
            variances.run,
            variances.began_on as run_began_on,
            variances.variance_amount is null and variances.variance_quantity is not null as is_unpriced,
            coalesce(variances.variance_quantity, 0) + coalesce(shifted.quantity, 0) as quantity_now,
            coalesce(variances.variance_amount, 0) + coalesce(shifted.amount, 0) as amount_now,
            coalesce(variances.price, at_closing.price, agreed.price, checked.price) as price,
            coalesce(variances.currency, at_closing.currency, sent.currency, clients.currency) as currency,
            at_closing.client_id is not null as has_closed_rows,
            case
                when at_closing.is_approvable then at_closing.quantity else coalesce(posted.usage_quantity, 0)
            end as quantity_then,
            -- In another currency than it is in now, what was found then is worth what its units are.
            case
                when not coalesce(at_closing.is_approvable, false)
                then coalesce(posted.usage_amount, 0)
                when variances.currency is null or variances.currency = at_closing.currency
                then at_closing.amount
                else {{ round_money("at_closing.quantity * variances.price", "variances.currency") }}
            end as amount_then,
            -- What of it nobody was billed for, or given back: it is open, or was given up.
            case when at_closing.is_approvable then at_closing.quantity - coalesce(posted.usage_quantity, 0) else 0 end
            + coalesce(shifted.open_quantity, 0) as open_quantity,
            case
                when not coalesce(at_closing.is_approvable, false)
                then 0
                when variances.currency is null or variances.currency = at_closing.currency
                then at_closing.amount - coalesce(posted.usage_amount, 0)
                else
                    {{
                        round_money(
                            "(at_closing.quantity - coalesce(posted.usage_quantity, 0)) * variances.price",
                            "variances.currency",
                        )
                    }}
            end
            + coalesce(shifted.open_amount, 0) as open_amount,
            coalesce(posted.usage_quantity <> 0 or posted.usage_amount <> 0, false) as is_posted,
            coalesce(variances.lost_unit_days, 0)
            + coalesce(shifted.quantity, 0) * {{ days_in_month("subjects.period_month") }} as lost_unit_days,
            coalesce(at_closing.lost_unit_days, 0) as lost_unit_days_then,
            not coalesce(at_closing.is_approvable, false) and posted.client_id is not null as is_as_billed,
            coalesce(at_closing.is_estimate, false) or coalesce(variances.is_uncontracted, false) as is_estimate,
            -- A list price has no date: that it is another one now says nothing of the month.
            coalesce(
                at_closing.is_estimate
                and not at_closing.is_unpriced
                and variances.is_uncontracted
                and variances.variance_quantity = at_closing.quantity
                and coalesce(shifted.quantity, 0) = 0,
                false
            ) as is_same_estimate,
            coalesce(sent.quantity, 0) as sent_quantity,
            coalesce(sent.amount, 0) as sent_amount,
            sent.client_id is not null as is_sent,
            {{ plus_days("-clients.back_bill_days", "clients.today_on") }} as recoverable_from,
            {{ days_in_month("subjects.period_month") }} as month_days,
            {{
                dbt.datediff(
                    plus_days("-clients.back_bill_days", "clients.today_on"),
                    plus_days(1, dbt.last_day("subjects.period_month", "month")),
                    "day",
                )
            }} as days_to_limit
        from subjects
        cross join {{ ref("stg_morton__clock") }} as clock
        inner join
            {{ ref("stg_morton__closed_periods") }} as closed
            on closed.client_id = subjects.client_id
            and closed.period_month = subjects.period_month
        inner join {{ ref("int_periods") }} as opened on opened.client_id = subjects.client_id and opened.is_open
        inner join {{ ref("int_clients") }} as clients on clients.client_id = subjects.client_id
        inner join {{ ref("int_services") }} as services on services.service_id = subjects.service_id
        left join
            checked
            on checked.client_id = subjects.client_id
            and checked.service_id = subjects.service_id
            and checked.period_month = subjects.period_month
        left join
            flat
            on flat.client_id = subjects.client_id
            and flat.service_id = subjects.service_id
            and flat.period_month = subjects.period_month
        left join
            variances
            on variances.client_id = checked.client_id
            and variances.service_id = checked.service_id
            and variances.period_month = checked.period_month
            and variances.vendor = checked.vendor
        left join
            {{ ref("int_period_terms") }} as agreed
            on agreed.client_id = subjects.client_id
            and agreed.service_id = subjects.service_id
            and agreed.period_month = subjects.period_month
            and not agreed.is_as_closed
        left join
            {{ ref("int_period_terms") }} as agreed_then
            on agreed_then.client_id = subjects.client_id
            and agreed_then.service_id = subjects.service_id
            and agreed_then.period_month = subjects.period_month
            and agreed_then.is_as_closed
        left join
            shifted
            on shifted.client_id = subjects.client_id
            and shifted.service_id = subjects.service_id
            and shifted.period_month = subjects.period_month
        left join
            at_closing
            on at_closing.client_id = subjects.client_id
            and at_closing.service_id = subjects.service_id
            and at_closing.period_month = subjects.period_month
        left join
            {{ ref("int_posted_usage") }} as posted
            on posted.client_id = subjects.client_id
            and posted.service_id = subjects.service_id
            and posted.period_month = subjects.period_month
        left join
            sent
            on sent.client_id = subjects.client_id
            and sent.service_id = subjects.service_id
            and sent.period_month = subjects.period_month
    ),

    changed as (
        select
            *,
            quantity_now - quantity_then as changed_quantity,
            case when not is_unpriced then amount_now - amount_then end as changed_amount,
            case
                when is_unpriced or amount_now - amount_then - sent_amount = 0
                then quantity_now - quantity_then - sent_quantity
                else amount_now - amount_then - sent_amount
            end as unsent,
            case
                when is_unpriced or amount_now - amount_then - sent_amount = 0 then open_quantity else open_amount
            end as open
        from joined
    ),

    weighed as (
        select
            *,
            unsent * open < 0 and abs(unsent) <= abs(open) as is_taken_from_open,
            unsent * open < 0 and abs(unsent) > abs(open) as is_beyond_open
        from changed
    ),

    compared as (
        select
            *,
            case
                when not is_checked
                then sent_quantity
                when is_same_estimate
                then 0
                when is_taken_from_open
                then sent_quantity
                when is_beyond_open
                then changed_quantity + open_quantity
                else changed_quantity
            end as difference_quantity,
            case
                when not is_checked
                then sent_amount
                when is_same_estimate
                then 0
                when is_taken_from_open
                then sent_amount
                when is_beyond_open
                then changed_amount + open_amount
                else changed_amount
            end as difference_amount
        from weighed
    )

select
    {{ discrepancy_id("corrects_month", "client_id", "service_id", "'correction'") }} as discrepancy_id,
    corrects_month,
    period_month,
    last_on,
    client_id,
    client_name,
    service_id,
    service_name,
    vendor,
    observed_quantity,
    contracted_quantity,
    contract_text,
    price,
    currency,
    measured_on,
    source_as_of_at,
    has_closed_rows,
    -- Where nothing was kept, count and contract agreed: with the same contract, on the records before the variance.
    has_closed_rows or (coalesce(run, 1) > 1 and contract_text = contract_text_then) as has_earlier_records,
    run_began_on,
    is_estimate,
    -- What was invoiced is settled to the last unit; and a gap that stayed is as large as if it had been known at the
    -- time.
    not is_sent
    and not is_posted
    and tolerance_quantity > 0
    and abs(quantity_now) <= tolerance_quantity
    and abs(quantity_then) <= tolerance_quantity
    and abs(lost_unit_days) < 30 * tolerance_quantity
    and abs(lost_unit_days_then) < 30 * tolerance_quantity as is_within_tolerance,
    cast(difference_quantity as decimal(18, 4)) as variance_quantity,
    cast(difference_amount as decimal(18, 4)) as variance_amount,
    -- Every day of the month is short of an equal part of it; those before the limit are lost.
    {{
        round_money(
            "difference_amount * case when recoverable_from is null or recoverable_from <= corrects_month then 1.0 when days_to_limit < 0 then 0 else days_to_limit end / case when recoverable_from is null or recoverable_from <= corrects_month then 1 else month_days end",
            "currency",
        )
    }}
    as unlapsed_amount,
    {{ say_month("corrects_month") }}
    || ' was closed for '
    || client_name
    || ' with '
    || case
        when quantity_then = 0 and amount_then = 0
        then 'nothing to bill for ' || service_name
        else
            {{ say_quantity("abs(quantity_then)") }}
            || ' '
            || service_name
            || case when is_as_billed then ' billed' when amount_then < 0 then ' billed too many' else ' not billed' end
            || ' ('
            || {{ say_money("abs(amount_then)", "currency") }}
            || ')'
    end
    || case
        when not is_checked
        then ', and what could tell whether that is so is not known now'
        when is_unpriced
        then ', and as known now it is ' || {{ say_quantity("quantity_now") }} || ', for which there is no price'
        else
            ', and as known now it is ' || case
                when quantity_now = 0 and amount_now = 0
                then 'none'
                else
                    {{ say_quantity("abs(quantity_now)") }}
                    || case when amount_now < 0 then ' billed too many' else ' not billed' end
                    || ' ('
                    || {{ say_money("abs(amount_now)", "currency") }}
                    || ')'
            end
            || case
                when changed_amount = 0
                then ', as it was closed with'
                when is_taken_from_open
                then
                    ': '
                    || {{ say_money("abs(unsent)", "currency") }}
                    || case
                        when open > 0 then ' less, which was never billed' else ' more, which was never given back'
                    end
                else
                    ': '
                    || {{ say_money("abs(difference_amount)", "currency") }}
                    || case when difference_amount < 0 then ' less to bill' else ' more to bill' end
                    || case
                        when is_beyond_open
                        then
                            ', beyond '
                            || {{ say_money("abs(open_amount)", "currency") }}
                            || case when open > 0 then ' that was never billed' else ' that was never given back' end
                        else ''
                    end
            end
    end
    || case when contract_text <> contract_text_then then '; its contract was changed since' else '' end as remark
from compared
where is_sent or difference_quantity <> 0 or coalesce(difference_amount, 0) <> 0
