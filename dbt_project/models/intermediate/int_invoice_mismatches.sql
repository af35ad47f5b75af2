-- Where the recurring invoice bills another quantity or sum than the contract says, or bills what no contract covers.
with

    -- The companies in the accounting system a client is billed
    -- from; a client nobody there knows could be in any of them.
    seen as (
        select connection_id, customer_id
        from {{ ref("int_accounting_customers") }}
        union
        select connection_id, customer_id
        from {{ ref("int_accounting_documents") }}
    ),

    homes as (
        select distinct clients.client_id, seen.connection_id
        from {{ ref("int_clients") }} as clients
        inner join seen on seen.customer_id = clients.accounting_customer_id
    ),

    accounting as (
        select
            clients.client_id,
            min(states.last_complete_at) as source_as_of_at,
            case
                when min(case when states.state in ('known', 'zero') then 1 else 0 end) = 1
                then 'known'
                when max(case when states.state = 'partial' then 1 else 0 end) = 1
                then 'partial'
                else 'stale'
            end as source_state
        from {{ ref("int_clients") }} as clients
        inner join
            {{ ref("int_scope_states") }} as states
            on states.connection_id
            in (select connection_id from {{ ref("stg_morton__scopes") }} where category = 'accounting')
            and states.endpoint in {{ accounting_lists() }}
        left join (select distinct client_id from homes) as housed on housed.client_id = clients.client_id
        left join homes on homes.client_id = clients.client_id and homes.connection_id = states.connection_id
        where
            clients.accounting_customer_id is not null and (housed.client_id is null or homes.connection_id is not null)
        group by clients.client_id
        -- What was never read says nothing of what was invoiced.
        having min(case when states.last_complete_at is null then 0 else 1 end) = 1
    ),

    client_months as (
        select distinct client_id, period_month from {{ ref("int_invoiced_quantities") }} where is_client_invoiced
    ),

    periods as (
        select
            periods.client_id,
            periods.period_month,
            periods.is_open,
            periods.last_on,
            client_months.client_id is not null as is_client_invoiced,
            accounting.source_state,
            accounting.source_as_of_at,
            clients.client_name,
            clients.currency,
            -- Every day of a month is short of an equal part of it; those before the limit to what may be billed back
            -- are lost.
            {{ days_in_month("periods.period_month") }} as month_days,
            {{
                dbt.datediff(
                    plus_days("-clients.back_bill_days", "clients.today_on"),
                    plus_days(1, dbt.last_day("periods.period_month", "month")),
                    "day",
                )
            }} as days_to_limit
        from {{ ref("int_periods") }} as periods
        inner join
            {{ ref("int_clients") }} as clients
            on clients.client_id = periods.client_id
            and clients.status <> 'internal'
        inner join accounting on accounting.client_id = periods.client_id
        left join
            client_months
            on client_months.client_id = periods.client_id
            and client_months.period_month = periods.period_month
        where
            client_months.client_id is not null
            -- Without an invoice a month is compared once it is over, and only if its end was read: an invoice may
            -- have come since. Months that only reports tell of are left: invoices may not reach as far back.
            or (
                not periods.is_open
                and not coalesce(periods.is_before_first_reading, false)
                and (
                    accounting.source_state = 'known'
                    or {{ local_date("accounting.source_as_of_at", "clients.time_zone") }} > periods.last_on
                )
            )
    ),

    -- A closed month is held against the contracts as they were known when it was closed, for as long as invoices come;
    -- against those known now as well, for the difference is corrected in the open month.
    views as (
        select
            periods.client_id,
            periods.period_month,
            false as is_as_closed,
            closed.client_id is null as is_standing,
            periods.currency
        from periods
        left join
            {{ ref("stg_morton__closed_periods") }} as closed
            on closed.client_id = periods.client_id
            and closed.period_month = periods.period_month
        union all
        select
            closed.client_id,
            closed.period_month,
            true as is_as_closed,
            true as is_standing,
            -- Months that were closed before their currency was kept are in the client's own.
            coalesce(kept.currency, periods.currency) as currency
        from {{ ref("stg_morton__closed_periods") }} as closed
        inner join periods on periods.client_id = closed.client_id and periods.period_month = closed.period_month
        left join
            (
                select client_id, period_month, max(currency) as currency
                from {{ ref("stg_morton__closed_terms") }}
                group by client_id, period_month
            ) as kept
            on kept.client_id = closed.client_id
            and kept.period_month = closed.period_month
    ),

    lines as (
        select
            views.client_id,
            views.period_month,
            views.is_as_closed,
            invoiced.service_id,
            invoiced.quantity,
            invoiced.amount,
            coalesce(invoiced.currency, views.currency) = views.currency as is_in_currency
        from {{ ref("int_invoiced_quantities") }} as invoiced
        inner join views on views.client_id = invoiced.client_id and views.period_month = invoiced.period_month
        where invoiced.service_id is not null and not invoiced.is_ours
    ),

    invoiced as (
        select
            client_id,
            service_id,
            period_month,
            is_as_closed,
            sum(quantity) as others_quantity,
            -- A unit is a unit in any currency; a price is one in the client's own.
            sum(case when is_in_currency then amount end) as others_amount,
            sum(case when quantity is null and is_in_currency then amount end) as others_amount_only,
            sum(case when quantity is not null and is_in_currency then amount end)
            / nullif(sum(case when is_in_currency then quantity end), 0) as others_price,
            min(case when is_in_currency then 1 else 0 end) = 1 as is_in_currency
        from lines
        group by client_id, service_id, period_month, is_as_closed
    ),

    subjects as (
        select client_id, period_month, service_id, is_as_closed
        from {{ ref("int_period_terms") }}
        where contract_text is not null
        union
        select client_id, period_month, service_id, is_as_closed
        from invoiced
    ),

    priced as (
        select
            periods.client_id,
            periods.client_name,
            periods.period_month,
            periods.last_on,
            periods.month_days,
            periods.days_to_limit,
            periods.source_state,
            periods.source_as_of_at,
            views.is_as_closed,
            views.is_standing,
            views.currency,
            services.service_id,
            services.service_name,
            coalesce(agreed.contract_text, '') as contract_text,
            coalesce(agreed.contracted_quantity, 0) as contracted_quantity,
            coalesce(agreed.contracted_amount, 0) as contracted_amount,
            agreed.price_days,
            case when agreed.billing_model = 'tiered' then agreed.contract_id end as tiered_by,
            cast(
                coalesce(
                    agreed.price, invoiced.others_price, services.list_price, invoiced.others_amount_only
                ) as decimal(18, 4)
            ) as price,
            coalesce(agreed.tolerance_quantity, 0) as tolerance_quantity,
            agreed.observed_quantity,
            coalesce(invoiced.others_quantity, 0) as others_quantity,
            invoiced.others_amount_only,
            coalesce(posted.contracted_quantity, 0) as posted_quantity,
            coalesce(invoiced.others_amount, 0) + coalesce(posted.contracted_amount, 0) as invoiced_amount,
            coalesce(invoiced.is_in_currency, true)
            and (coalesce(posted.contracted_quantity, 0) = 0 or posted.currency = views.currency) as is_in_currency
        from subjects
        inner join periods on periods.client_id = subjects.client_id and periods.period_month = subjects.period_month
        inner join
            views
            on views.client_id = subjects.client_id
            and views.period_month = subjects.period_month
            and views.is_as_closed = subjects.is_as_closed
        inner join
            {{ ref("int_services") }} as services
            on services.service_id = subjects.service_id
            and services.accounting_item_id is not null
        left join
            {{ ref("int_period_terms") }} as agreed
            on agreed.client_id = subjects.client_id
            and agreed.service_id = subjects.service_id
            and agreed.period_month = subjects.period_month
            and agreed.is_as_closed = subjects.is_as_closed
        left join
            invoiced
            on invoiced.client_id = subjects.client_id
            and invoiced.service_id = subjects.service_id
            and invoiced.period_month = subjects.period_month
            and invoiced.is_as_closed = subjects.is_as_closed
        left join
            {{ ref("int_posted_usage") }} as posted
            on posted.client_id = subjects.client_id
            and posted.service_id = subjects.service_id
            and posted.period_month = subjects.period_month
    ),

    compared as (
        select
            *,
            cast(
                others_quantity + coalesce(others_amount_only / nullif(price, 0), 0) + posted_quantity as decimal(18, 4)
            ) as invoiced_quantity
        from priced
    ),

    -- A closed month keeps the steps its prices had.
    steps as (
        select
            client_id,
            service_id,
            period_month,
            true as is_as_closed,
            is_above,
            top,
            priced_from,
            amount_below,
            unit_price
        from {{ ref("stg_morton__closed_steps") }}
        union all
        select
            priced.client_id,
            priced.service_id,
            priced.period_month,
            priced.is_as_closed,
            tiers.is_above,
            tiers.top,
            tiers.priced_from,
            tiers.amount_below,
            tiers.unit_price
        from priced
        inner join {{ ref("int_price_tiers") }} as tiers on tiers.contract_id = priced.tiered_by
        left join
            (select distinct client_id, service_id, period_month from {{ ref("stg_morton__closed_steps") }}) as kept
            on kept.client_id = priced.client_id
            and kept.service_id = priced.service_id
            and kept.period_month = priced.period_month
            and priced.is_as_closed
        where kept.client_id is null
    ),

    weighed as (
        select
            compared.*,
            cast(contracted_quantity - invoiced_quantity as decimal(18, 4)) as variance_quantity,
            -- What the units make, at the contract's prices.
            case
                when steps.client_id is not null
                then contracted_amount - {{ amount_in_step("invoiced_quantity", "steps") }}
                -- What is invoiced is worth on each day what that day's version says.
                when price_days is not null
                then contracted_amount - cast(price_days * invoiced_quantity / month_days as decimal(28, 8))
                else cast((contracted_quantity - invoiced_quantity) * price as decimal(28, 8))
            end as units_amount
        from compared
        left join
            steps
            on steps.client_id = compared.client_id
            and steps.service_id = compared.service_id
            and steps.period_month = compared.period_month
            and steps.is_as_closed = compared.is_as_closed
            and {{ is_in_step("compared.invoiced_quantity", "steps") }}
    ),

    valued as (
        select
            *,
            -- Money is held against money, rounded as an invoice is. What is billed in another currency is units.
            case
                when is_in_currency
                then {{ round_money("contracted_amount", "currency") }} - invoiced_amount
                else units_amount
            end as unrounded_amount
        from weighed
    ),

    rounded as (
        select
            *,
            {{ round_money("unrounded_amount", "currency") }} as variance_amount,
            coalesce(
                {{ round_money("unrounded_amount - units_amount", "currency") }} <> 0, false
            ) as is_priced_otherwise
        from valued
    ),

    -- A sum without a quantity is compared as such.
    varied as (
        select
            *,
            sign(variance_quantity) as variance_sign,
            {{ dbt.datediff("period_month", "last_on", "day") }} + 1 as day_count,
            extract(year from period_month) * 12
            + extract(month from period_month)
            - row_number() over (
                partition by client_id, service_id, is_standing, sign(variance_quantity) order by period_month
            ) as run
        from rounded
        where variance_amount <> 0 or (variance_quantity <> 0 and others_amount_only is null)
    )

select
    *,
    (select min(vendor) from {{ ref("stg_morton__scopes") }} where category = 'accounting') as accounting_vendor,
    -- The variance of each day since the first of the months in a row that have one of its sign, added up.
    sum(variance_quantity * day_count) over (
        partition by client_id, service_id, is_standing, variance_sign, run
        order by period_month
        rows between unbounded preceding and current row
    ) as lost_unit_days,
    {{
        round_money(
            "unrounded_amount * case when days_to_limit < 0 then 0 when days_to_limit < month_days then days_to_limit else month_days end / month_days",
            "currency",
        )
    }}
    as unlapsed_amount
from varied
