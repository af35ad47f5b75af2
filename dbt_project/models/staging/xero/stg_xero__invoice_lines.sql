-- Amounts are net, and below zero where money is given back.
with

    versions as ({{ known_versions(source("xero", "invoice_lines")) }}),

    signed as (
        select
            *,
            case when type = 'ACCRECCREDIT' then -1 else 1 end as sign,
            case when line_amount_types = 'Inclusive' then coalesce(tax_amount, 0) else 0 end as tax_inside
        from versions
    )

select
    connection_id,
    tenant_id,
    record_key,
    invoice_id as accounting_id,
    line_item_id as line_id,
    item_code as item_id,
    description,
    cast(sign * quantity as decimal(28, 9)) as quantity,
    unit_amount as unit_price,
    cast(sign * (coalesce(line_amount, 0) - tax_inside) as decimal(18, 4)) as amount,
    cast(served_on as date) as service_on,
    valid_from,
    known_valid_to as valid_to

from signed
