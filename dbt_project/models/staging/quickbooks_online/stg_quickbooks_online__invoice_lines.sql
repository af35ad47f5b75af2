with versions as ({{ known_versions(source("quickbooks_online", "invoice_lines")) }})

select
    connection_id,
    tenant_id,
    record_key,
    invoice_id as accounting_id,
    id as line_id,
    sales_item_line_detail__item_ref__value as item_id,
    description,
    case
        when document = 'CreditMemo' then - sales_item_line_detail__qty else sales_item_line_detail__qty
    end as quantity,
    sales_item_line_detail__unit_price as unit_price,
    case when document = 'CreditMemo' then - amount else amount end as amount,
    cast(sales_item_line_detail__service_date as date) as service_on,
    valid_from,
    known_valid_to as valid_to

from versions
