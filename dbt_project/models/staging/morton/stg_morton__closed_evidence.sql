select
    closed.client_id,
    cast(closed.period_month as date) as period_month,
    closed.discrepancy_id,
    closed.vendor,
    closed.connection_id,
    closed.record_path,
    closed.record_id,
    closed.record_name,
    cast(closed.quantity as decimal(18, 4)) as quantity,
    closed.bucket,
    closed.bucket_reason,
    cast(closed.first_seen_on as date) as first_seen_on,
    cast(closed.last_seen_on as date) as last_seen_on,
    closed.service_pattern_key,
    closed.change
from {{ source("morton", "closed_evidence") }} as closed
cross join {{ ref("stg_morton__clock") }} as clock
where cast(closed.closed_at as timestamp) <= clock.as_of_at
