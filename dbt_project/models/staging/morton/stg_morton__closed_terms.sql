select
    client_id,
    cast(period_month as date) as period_month,
    service_id,
    contract_text,
    billing_model,
    cast(quantity as decimal(18, 4)) as quantity,
    cast(unit_price as decimal(18, 4)) as unit_price,
    cast(tolerance_quantity as decimal(18, 4)) as tolerance_quantity,
    cast(observed_quantity as decimal(18, 4)) as observed_quantity
from {{ source("morton", "closed_terms") }}
