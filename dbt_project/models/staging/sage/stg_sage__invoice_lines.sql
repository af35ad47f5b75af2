-- Sage's lines have no date of their own: they belong to the day of their document.
with versions as ({{ known_versions(source("sage", "invoice_lines")) }})

select
    connection_id,
    tenant_id,
    record_key,
    sales_invoice_id as accounting_id,
    id as line_id,
    coalesce(service__id, product__id) as item_id,
    description,
    case when is_credit_note then - quantity else quantity end as quantity,
    unit_price,
    cast(case when is_credit_note then - net_amount else net_amount end as decimal(18, 4)) as amount,
    cast(null as date) as service_on,
    valid_from,
    known_valid_to as valid_to

from versions
