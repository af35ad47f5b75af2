-- The months each client is reconciled for: from the first day any reading stands for to the open month.
with

    firsts as (select min(known_at) as first_at from {{ ref("stg_morton__extractions") }} where is_complete),

    told as (select min(stands_for_on) as first_told_on from {{ ref("int_reading_days") }}),

    begun as (
        select
            clients.client_id,
            clients.today_on,
            told.first_told_on,
            {{ local_date("firsts.first_at", "clients.time_zone") }} as first_read_on
        from {{ ref("int_clients") }} as clients
        cross join firsts
        cross join told
        where firsts.first_at is not null
    ),

    days as (
        select
            client_id,
            today_on,
            first_read_on,
            {{
                each_day(
                    "case when first_told_on < first_read_on then first_told_on else first_read_on end", "today_on"
                )
            }} as day_on
        from begun
    ),

    months as (
        select distinct
            client_id, today_on, first_read_on, cast({{ dbt.date_trunc("month", "day_on") }} as date) as period_month
        from days
    ),

    bounded as (
        select
            client_id,
            period_month,
            today_on,
            period_month = cast({{ dbt.date_trunc("month", "today_on") }} as date) as is_open,
            case
                when period_month = cast({{ dbt.date_trunc("month", "today_on") }} as date)
                then today_on
                else cast({{ dbt.last_day("period_month", "month") }} as date)
            end as last_on,
            -- Reports tell of months in which nobody read anything yet.
            period_month < cast({{ dbt.date_trunc("month", "first_read_on") }} as date) as is_before_first_reading
        from months
    )

select
    bounded.client_id,
    bounded.period_month,
    bounded.is_open,
    bounded.last_on,
    bounded.is_before_first_reading,
    -- A month that is due is closed with this very build.
    coalesce(
        closed.closed_at,
        case
            when not bounded.is_open and {{ plus_days("clock.close_after_days", "bounded.last_on") }} < bounded.today_on
            then clock.as_of_at
        end
    ) as closed_at
from bounded
cross join {{ ref("stg_morton__clock") }} as clock
left join
    {{ ref("stg_morton__closed_periods") }} as closed
    on closed.client_id = bounded.client_id
    and closed.period_month = bounded.period_month
