with

    latest as (select * from {{ ref("stg_ledger__decisions") }} where is_latest),

    invoiced as (
        select discrepancy_id, sum(quantity) as quantity, sum(amount) as amount, max(period_month) as sent_month
        from {{ ref("stg_ledger__invoice_lines") }}
        where state = 'posted'
        group by discrepancy_id
    ),

    sent_since as (
        select client_id, service_id, period_month, sum(amount) as amount
        from {{ ref("stg_ledger__invoice_lines") }}
        where state = 'posted'
        group by client_id, service_id, period_month
    ),

    clawed as (
        select findings.discrepancy_id, sum(sent_since.amount) as amount
        from {{ ref("int_findings_standing") }} as findings
        inner join
            sent_since
            on sent_since.client_id = findings.client_id
            and sent_since.service_id = findings.service_id
            and sent_since.period_month <= findings.period_month
            and {{ dbt.last_day("sent_since.period_month", "month") }} >= findings.began_on
        group by findings.discrepancy_id
    ),

    -- The same units are not billed twice because their row changed
    -- its kind: usage is netted whatever it was called then.
    counted_off as (
        select
            findings.*,
            invoiced.amount is not null as is_sent,
            invoiced.quantity as sent_quantity,
            invoiced.amount as sent_amount,
            invoiced.sent_month,
            coalesce(usage.usage_quantity, invoiced.quantity, 0) as posted_quantity,
            coalesce(usage.usage_amount, invoiced.amount, 0) as posted_amount
        from
            (
                select
                    *,
                    -- A month in which a contract ended may have a row under it and one
                    -- without: then each is netted with what was billed under its own name.
                    kind in {{ usage_kinds() }}
                    and sum(case when kind in {{ usage_kinds() }} then 1 else 0 end) over (
                        partition by client_id, service_id, period_month
                    )
                    = 1 as is_only_usage
                from {{ ref("int_findings_standing") }}
            ) as findings
        left join invoiced on invoiced.discrepancy_id = findings.discrepancy_id
        left join
            {{ ref("int_posted_usage") }} as usage
            on usage.client_id = findings.client_id
            and usage.service_id = findings.service_id
            and usage.period_month = findings.period_month
            and findings.is_only_usage
    ),

    judged as (
        select
            *,
            posted_quantity <> 0 or posted_amount <> 0 as is_posted,
            (posted_quantity <> 0 or posted_amount <> 0)
            and coalesce(variance_amount - posted_amount, variance_quantity - posted_quantity) = 0 as is_settled
        from counted_off
    ),

    -- A row that was invoiced before shows only what has come
    -- since; one that was invoiced exactly stays as it was sent.
    netted as (
        select
            judged.*,
            judged.is_settled as is_invoiced,
            case
                when judged.is_settled then judged.sent_quantity else judged.variance_quantity - judged.posted_quantity
            end as net_quantity,
            case
                when judged.is_settled then judged.sent_amount else judged.variance_amount - judged.posted_amount
            end as net_amount,
            case
                when judged.is_settled or not judged.is_posted
                then judged.seal
                else
                    {{
                        sha256(
                            "judged.seal || '|after|' || cast(cast(judged.posted_amount as decimal(18, 4)) as "
                            ~ dbt.type_string()
                            ~ ")"
                        )
                    }}
            end as net_seal,
            -- A correction is about one month, and what was sent of it stands on its own lines.
            case
                when judged.kind = 'correction' then judged.posted_amount else coalesce(clawed.amount, 0)
            end as clawed_amount
        from judged
        left join clawed on clawed.discrepancy_id = judged.discrepancy_id
        -- What was invoiced to the last unit under another kind leaves nothing to show under this one.
        where not judged.is_settled or judged.is_sent
    ),

    -- A row that was invoiced and whose finding has gone is history, and history is not rewritten.
    settled as (
        select
            latest.*,
            invoiced.quantity as invoiced_quantity,
            invoiced.amount as invoiced_amount,
            clients.client_name,
            services.service_name
        from invoiced
        inner join latest on latest.discrepancy_id = invoiced.discrepancy_id
        left join {{ ref("int_findings_standing") }} as findings on findings.discrepancy_id = invoiced.discrepancy_id
        left join {{ ref("int_clients") }} as clients on clients.client_id = latest.client_id
        left join {{ ref("int_services") }} as services on services.service_id = latest.service_id
        where findings.discrepancy_id is null
    ),

    current_rows as (
        select
            netted.discrepancy_id,
            netted.period_month,
            netted.client_id,
            netted.client_name,
            netted.service_id,
            netted.service_name,
            netted.kind,
            netted.observed_quantity,
            netted.contracted_quantity,
            netted.invoiced_quantity,
            netted.invoiced_as,
            netted.billed_to,
            netted.net_quantity as variance_quantity,
            netted.price as unit_price,
            netted.currency,
            netted.net_amount as variance_amount,
            netted.accumulated_amount,
            case
                when netted.unlapsed_amount - netted.clawed_amount > 0
                then netted.unlapsed_amount - netted.clawed_amount
                when netted.unlapsed_amount is not null
                then 0
            end as recoverable_amount,
            netted.began_on,
            netted.state as source_state,
            netted.source_as_of_at,
            netted.explanation || case
                when netted.posted_amount = 0 or netted.is_invoiced or netted.currency is null
                then ''
                else
                    ' '
                    || {{ say_money("abs(netted.posted_amount)", "netted.currency") }}
                    || case
                        when netted.posted_amount < 0 then ' was given back already.' else ' of it is invoiced already.'
                    end
            end as explanation,
            -- What was invoiced once is settled to the last unit.
            netted.is_within_tolerance and not netted.is_posted as is_within_tolerance,
            netted.is_estimate,
            netted.net_seal as seal,
            case
                when netted.is_invoiced
                then 'invoiced'
                when latest.action is null or latest.action = 'reopen'
                then 'open'
                when latest.action = 'approve' and latest.seal = netted.net_seal
                then 'approved'
                when latest.action = 'approve' and netted.is_posted
                then 'open'
                when latest.action = 'approve'
                then 'void'
                when
                    latest.until_on is not null
                    and latest.until_on <= coalesce(clients.today_on, cast(clock.as_of_at as date))
                then 'open'
                when
                    latest.action = 'write_off'
                    and sign(netted.net_amount) = sign(latest.amount)
                    and abs(netted.net_amount) <= abs(latest.amount)
                then 'written_off'
                -- What has no price is given up by its quantity.
                when
                    latest.action = 'write_off'
                    and netted.net_amount is null
                    and latest.amount is null
                    and abs(coalesce(netted.net_quantity, 0)) <= abs(coalesce(latest.quantity, 0))
                then 'written_off'
                when latest.action = 'snooze'
                then 'snoozed'
                when latest.action = 'exclude' and latest.seal = netted.net_seal
                then 'excluded'
                else 'open'
            end as status,
            latest.decided_by,
            latest.decided_at,
            netted.corrects_month,
            coalesce(netted.sent_month, latest.period_month) as settled_month,
            netted.lost_unit_days,
            netted.unexplained_quantity
        from netted
        cross join {{ ref("stg_morton__clock") }} as clock
        left join {{ ref("int_clients") }} as clients on clients.client_id = netted.client_id
        left join latest on latest.discrepancy_id = netted.discrepancy_id
    ),

    settled_rows as (
        select
            discrepancy_id,
            period_month,
            client_id,
            client_name,
            service_id,
            service_name,
            kind,
            cast(null as decimal(18, 4)) as observed_quantity,
            cast(null as decimal(18, 4)) as contracted_quantity,
            cast(null as decimal(18, 4)) as invoiced_quantity,
            cast(null as {{ dbt.type_string() }}) as invoiced_as,
            cast(null as {{ dbt.type_string() }}) as billed_to,
            invoiced_quantity as variance_quantity,
            cast(null as decimal(18, 4)) as unit_price,
            currency,
            invoiced_amount as variance_amount,
            cast(null as decimal(18, 4)) as accumulated_amount,
            cast(0 as decimal(18, 4)) as recoverable_amount,
            cast(null as date) as began_on,
            'known' as source_state,
            decided_at as source_as_of_at,
            'Invoiced as approved by ' || decided_by || '; the difference is gone since.' as explanation,
            false as is_within_tolerance,
            false as is_estimate,
            seal,
            'invoiced' as status,
            decided_by,
            decided_at,
            cast(null as date) as corrects_month,
            cast(null as date) as settled_month,
            cast(null as decimal(18, 4)) as lost_unit_days,
            cast(null as decimal(18, 4)) as unexplained_quantity
        from settled
    ),

    -- A row whose records are all excluded stays on the list of decisions: that is where a person takes it back.
    excluded_rows as (
        select
            latest.discrepancy_id,
            latest.period_month,
            latest.client_id,
            clients.client_name,
            latest.service_id,
            services.service_name,
            latest.kind,
            cast(null as decimal(18, 4)) as observed_quantity,
            cast(null as decimal(18, 4)) as contracted_quantity,
            cast(null as decimal(18, 4)) as invoiced_quantity,
            cast(null as {{ dbt.type_string() }}) as invoiced_as,
            cast(null as {{ dbt.type_string() }}) as billed_to,
            cast(0 as decimal(18, 4)) as variance_quantity,
            cast(null as decimal(18, 4)) as unit_price,
            latest.currency,
            cast(0 as decimal(18, 4)) as variance_amount,
            cast(null as decimal(18, 4)) as accumulated_amount,
            cast(0 as decimal(18, 4)) as recoverable_amount,
            cast(null as date) as began_on,
            'known' as source_state,
            latest.decided_at as source_as_of_at,
            'Records excluded by '
            || latest.decided_by
            || ' ('
            || latest.reason
            || '); nothing is left to bill.' as explanation,
            false as is_within_tolerance,
            false as is_estimate,
            latest.seal,
            'excluded' as status,
            latest.decided_by,
            latest.decided_at,
            cast(null as date) as corrects_month,
            cast(null as date) as settled_month,
            cast(null as decimal(18, 4)) as lost_unit_days,
            cast(null as decimal(18, 4)) as unexplained_quantity
        from latest
        cross join {{ ref("stg_morton__clock") }} as clock
        left join {{ ref("int_clients") }} as clients on clients.client_id = latest.client_id
        left join {{ ref("int_services") }} as services on services.service_id = latest.service_id
        left join {{ ref("int_findings_standing") }} as findings on findings.discrepancy_id = latest.discrepancy_id
        left join invoiced on invoiced.discrepancy_id = latest.discrepancy_id
        where
            latest.action = 'exclude'
            and (latest.until_on is null or latest.until_on > coalesce(clients.today_on, cast(clock.as_of_at as date)))
            and findings.discrepancy_id is null
            and invoiced.discrepancy_id is null
    ),

    unioned as (
        select *
        from current_rows
        union all
        select *
        from settled_rows
        union all
        select *
        from excluded_rows
    ),

    -- A correction waits in the open month, whichever that is, until it is settled: there it stays.
    dated as (
        select
            unioned.*,
            case
                when corrects_month is not null and status in ('invoiced', 'written_off')
                then settled_month
                else period_month
            end as row_month
        from unioned
    )

select
    discrepancy_id,
    row_month as period_month,
    dated.client_id,
    client_name,
    service_id,
    service_name,
    kind,
    cast(observed_quantity as decimal(18, 4)) as observed_quantity,
    cast(contracted_quantity as decimal(18, 4)) as contracted_quantity,
    cast(invoiced_quantity as decimal(18, 4)) as invoiced_quantity,
    cast(variance_quantity as decimal(18, 4)) as variance_quantity,
    cast(unit_price as decimal(18, 4)) as unit_price,
    currency,
    cast(variance_amount as decimal(18, 4)) as variance_amount,
    cast(accumulated_amount as decimal(18, 4)) as accumulated_amount,
    cast(recoverable_amount as decimal(18, 4)) as recoverable_amount,
    began_on,
    source_state,
    source_as_of_at,
    explanation,
    is_within_tolerance,
    is_estimate,
    seal,
    status,
    decided_by,
    decided_at,
    invoiced_as,
    billed_to,
    corrects_month,
    coalesce(closed.closed_at, periods.closed_at) as closed_at,
    cast(lost_unit_days as decimal(18, 4)) as lost_unit_days,
    cast(unexplained_quantity as decimal(18, 4)) as unexplained_quantity
from dated
left join
    {{ ref("int_periods") }} as periods
    on periods.client_id = dated.client_id
    and periods.period_month = dated.row_month
-- Also for a client who is in the seeds no more.
left join
    {{ ref("stg_morton__closed_periods") }} as closed
    on closed.client_id = dated.client_id
    and closed.period_month = dated.row_month
