select
    client_id,
    cast(period_month as date) as period_month,
    discrepancy_id,
    extraction_id,
    is_measurement,
    cast(record_count as bigint) as record_count,
    cast(closed_at as timestamp) as closed_at
from {{ source("morton", "closed_readings") }}
