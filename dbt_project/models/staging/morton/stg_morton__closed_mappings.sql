select
    client_id,
    cast(period_month as date) as period_month,
    discrepancy_id,
    mapping,
    vendor,
    connection_id,
    company_id,
    company_name,
    endpoint,
    field,
    pattern,
    maps_to,
    cast(effective_from as date) as effective_from,
    cast(effective_to as date) as effective_to,
    cast(closed_at as timestamp) as closed_at
from {{ source("morton", "closed_mappings") }}
