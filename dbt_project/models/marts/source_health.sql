select
    connection_id,
    vendor,
    endpoint,
    tenant_id,
    state,
    last_complete_at,
    last_attempt_at,
    last_error,
    cast(record_count as bigint) as record_count,
    allowed_age_minutes,
    secret_expires_on
from {{ ref("int_scope_states") }}
