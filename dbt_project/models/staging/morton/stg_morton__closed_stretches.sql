select
    client_id,
    cast(period_month as date) as period_month,
    discrepancy_id,
    cast(first_on as date) as first_on,
    cast(last_on as date) as last_on,
    cast(day_amount as decimal(32, 14)) as day_amount
from {{ source("morton", "closed_stretches") }}
