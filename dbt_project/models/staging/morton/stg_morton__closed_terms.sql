select
    closed.client_id,
    cast(closed.period_month as date) as period_month,
    closed.service_id,
    closed.contract_text,
    closed.billing_model,
    cast(closed.quantity as decimal(18, 4)) as quantity,
    cast(closed.unit_price as decimal(18, 4)) as unit_price,
    cast(closed.tolerance_quantity as decimal(18, 4)) as tolerance_quantity,
    cast(closed.observed_quantity as decimal(18, 4)) as observed_quantity
from {{ source("morton", "closed_terms") }} as closed
cross join {{ ref("stg_morton__clock") }} as clock
where cast(closed.closed_at as timestamp) <= clock.as_of_at
