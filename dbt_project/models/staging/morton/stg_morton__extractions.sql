select
    extraction_id,
    connection_id,
    vendor,
    endpoint,
    tenant_id,
    tenant_name,
    -- What was accepted after the instant of this build is not known to it.
    case when accepted_at > as_of_at then coalesce(judged, status) else status end as status,
    reason,
    case when accepted_at <= as_of_at then accepted_by end as accepted_by,
    record_count,
    quarantined_count,
    case when accepted_at is not null then accepted_at <= as_of_at else status = 'complete' end as is_complete,
    attempted_at,
    stands_for_on,
    journal_sha256,
    source_sha256,
    case when accepted_at <= as_of_at then accepted_at else attempted_at end as known_at
from {{ source("morton", "extractions") }}
cross join {{ ref("stg_morton__clock") }}
where attempted_at <= as_of_at
