select
    exclusion_id,
    discrepancy_id,
    client_id,
    service_id,
    vendor,
    record_id,
    reason,
    owner,
    cast(effective_from as date) as effective_from,
    cast(expires_on as date) as expires_on
from {{ source('ledger', 'exclusions') }}
