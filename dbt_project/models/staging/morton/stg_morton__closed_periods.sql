select
    closed.client_id,
    cast(closed.period_month as date) as period_month,
    cast(closed.closed_at as timestamp) as closed_at
from {{ source("morton", "closed_periods") }} as closed
cross join {{ ref("stg_morton__clock") }} as clock
where cast(closed.closed_at as timestamp) <= clock.as_of_at
