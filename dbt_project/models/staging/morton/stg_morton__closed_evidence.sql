select
    client_id,
    cast(period_month as date) as period_month,
    discrepancy_id,
    vendor,
    connection_id,
    record_path,
    record_id,
    record_name,
    cast(quantity as decimal(18, 4)) as quantity,
    bucket,
    bucket_reason,
    cast(first_seen_on as date) as first_seen_on,
    cast(last_seen_on as date) as last_seen_on,
    service_pattern_key,
    change
from {{ source("morton", "closed_evidence") }}
