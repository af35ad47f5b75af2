select
    connection_id,
    vendor,
    endpoint,
    tenant_id,
    tenant_name,
    cast(allowed_age_minutes as integer) as allowed_age_minutes,
    is_connected,
    declared_as,
    category,
    cast(secret_expires_on as date) as secret_expires_on
from {{ source("morton", "scopes") }}
