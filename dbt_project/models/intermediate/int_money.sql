-- The book's main currency: the one most clients are billed in. List prices are in it.
with

    counted as (select currency, count(*) as client_count from {{ ref("clients") }} group by currency),

    ranked as (select currency, row_number() over (order by client_count desc, currency) as place from counted)

select coalesce(max(case when place = 1 then currency end), 'USD') as main_currency
from ranked
