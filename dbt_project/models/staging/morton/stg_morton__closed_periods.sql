select client_id, cast(period_month as date) as period_month, cast(closed_at as timestamp) as closed_at
from {{ source("morton", "closed_periods") }}
