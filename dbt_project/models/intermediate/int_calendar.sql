-- Days, each with the share of its month it makes up, summed from the first: the difference of two is months, exactly.
with

    bounds as (
        select
            cast({{ dbt.date_trunc("month", "min(spell_from)") }} as date) as first_on, max(clients.today_on) as last_on
        from {{ ref("int_spells") }}
        cross join {{ ref("int_clients") }} as clients
    ),

    days as (select {{ each_day("first_on", "last_on") }} as calendar_on from bounds where first_on is not null)

select
    cast(calendar_on as date) as calendar_on,
    cast(
        sum(1.0 / {{ days_in_month("calendar_on") }}) over (
            order by calendar_on rows between unbounded preceding and current row
        ) as decimal(28, 14)
    ) as months_elapsed
from days
