{{ config(materialized="view") }}
-- What usage differs by from the contract in each month: as computed now, or as the month was closed with.
select
    variances.client_id,
    variances.service_id,
    variances.period_month,
    variances.kind,
    variances.variance_quantity,
    variances.price,
    variances.currency
from {{ ref("int_usage_variances") }} as variances
left join
    {{ ref("stg_morton__closed_periods") }} as closed
    on closed.client_id = variances.client_id
    and closed.period_month = variances.period_month
where closed.client_id is null
union all
select client_id, service_id, period_month, kind, variance_quantity, price, currency
from {{ ref("stg_morton__closed_findings") }}
where kind in {{ usage_kinds() }}
