select
    client_id,
    cast(period_month as date) as period_month,
    service_id,
    contract_id,
    contract_text,
    billing_model,
    cast(contracted_quantity as decimal(18, 4)) as contracted_quantity,
    cast(contracted_amount as decimal(28, 8)) as contracted_amount,
    cast(price as decimal(18, 4)) as price,
    cast(price_days as decimal(28, 4)) as price_days,
    currency,
    cast(tolerance_quantity as decimal(18, 4)) as tolerance_quantity,
    cast(observed_quantity as decimal(18, 4)) as observed_quantity
from {{ source("morton", "closed_terms") }}
