select
    closed.client_id,
    cast(closed.period_month as date) as period_month,
    closed.discrepancy_id,
    cast(closed.first_on as date) as first_on,
    cast(closed.last_on as date) as last_on,
    cast(closed.day_amount as decimal(28, 8)) as day_amount
from {{ source("morton", "closed_stretches") }} as closed
cross join {{ ref("stg_morton__clock") }} as clock
where cast(closed.closed_at as timestamp) <= clock.as_of_at
