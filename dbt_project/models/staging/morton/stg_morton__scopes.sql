select
    connection_id,
    vendor,
    endpoint,
    tenant_id,
    tenant_name,
    cast(allowed_age_minutes as integer) as allowed_age_minutes,
    is_connected,
    declared_as,
    category
from {{ source("morton", "scopes") }}
