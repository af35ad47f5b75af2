select
    invoice_id,
    reference,
    client_id,
    currency,
    state,
    reason,
    accounting_id,
    cast(total_amount as decimal(18, 4)) as total_amount,
    cast(period_month as date) as period_month,
    cast(updated_at as timestamp) as updated_at
from {{ source('ledger', 'invoices') }}
