select
    invoice_id,
    decision_id,
    discrepancy_id,
    client_id,
    service_id,
    kind,
    currency,
    state,
    accounting_id,
    cast(quantity as decimal(18, 4)) as quantity,
    cast(unit_price as decimal(18, 4)) as unit_price,
    cast(amount as decimal(18, 4)) as amount,
    cast(period_month as date) as period_month
from {{ source('ledger', 'invoice_lines') }}
