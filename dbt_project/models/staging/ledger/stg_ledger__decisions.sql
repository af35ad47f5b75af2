select
    decision_id,
    discrepancy_id,
    action,
    seal,
    client_id,
    service_id,
    kind,
    currency,
    reason,
    decided_by,
    undoes,
    cause,
    cast(version as integer) as version,
    cast(quantity as decimal(18, 4)) as quantity,
    cast(amount as decimal(18, 4)) as amount,
    row_number() over (partition by discrepancy_id order by version desc) = 1 as is_latest,
    cast(period_month as date) as period_month,
    cast(until_on as date) as until_on,
    cast(decided_at as timestamp) as decided_at
from {{ source("ledger", "decisions") }}
cross join {{ ref("stg_morton__clock") }}
-- What was decided after the instant of this build is not known to it.
where cast(decided_at as timestamp) <= as_of_at
