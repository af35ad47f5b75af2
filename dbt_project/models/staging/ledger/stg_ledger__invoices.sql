select
    invoice_id,
    reference,
    destination,
    client_id,
    currency,
    state,
    reason,
    customer_id,
    accounting_id,
    cast(total_amount as decimal(18, 4)) as total_amount,
    cast(period_month as date) as period_month,
    cast(updated_at as timestamp) as updated_at,
    -- An invoice of ours is ours whenever it is looked at; its state is known from its last step on.
    cast(updated_at as timestamp) <= as_of_at as is_state_known
from {{ source("ledger", "invoices") }}
cross join {{ ref("stg_morton__clock") }}
