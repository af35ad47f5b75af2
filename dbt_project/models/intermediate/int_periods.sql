-- The months each client is reconciled for: from the first complete reading of any tool to the open month.
with

    firsts as (select min(known_at) as first_at from {{ ref("stg_morton__extractions") }} where is_complete),

    days as (
        select
            clients.client_id,
            clients.today_on,
            {{ each_day(local_date("firsts.first_at", "clients.time_zone"), "clients.today_on") }} as day_on
        from {{ ref("int_clients") }} as clients
        cross join firsts
        where firsts.first_at is not null
    ),

    months as (
        select distinct client_id, today_on, cast({{ dbt.date_trunc("month", "day_on") }} as date) as period_month
        from days
    )

select
    client_id,
    period_month,
    period_month = cast({{ dbt.date_trunc("month", "today_on") }} as date) as is_open,
    case
        when period_month = cast({{ dbt.date_trunc("month", "today_on") }} as date)
        then today_on
        else cast({{ dbt.last_day("period_month", "month") }} as date)
    end as last_on
from months
