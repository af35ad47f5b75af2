select
    lines.invoice_id,
    lines.decision_id,
    lines.discrepancy_id,
    lines.client_id,
    lines.service_id,
    lines.kind,
    lines.currency,
    lines.state,
    lines.accounting_id,
    -- The units that were approved: where prices differ between them, the line itself is one at the amount.
    cast(coalesce(decisions.quantity, lines.quantity) as decimal(18, 4)) as quantity,
    cast(lines.unit_price as decimal(18, 4)) as unit_price,
    cast(lines.amount as decimal(18, 4)) as amount,
    cast(lines.period_month as date) as period_month
from {{ source("ledger", "invoice_lines") }} as lines
inner join
    {{ ref("stg_ledger__invoices") }} as invoices on invoices.invoice_id = lines.invoice_id and invoices.is_state_known
left join {{ ref("stg_ledger__decisions") }} as decisions on decisions.decision_id = lines.decision_id
