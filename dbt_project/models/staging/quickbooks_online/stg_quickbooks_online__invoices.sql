with versions as ({{ known_versions(source("quickbooks_online", "invoices")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as accounting_id,
    doc_number,
    customer_ref__value as customer_id,
    currency_ref__value as currency,
    private_note as note,
    document = 'CreditMemo' as is_credit,
    case when document = 'CreditMemo' then -1 else 1 end
    * (total_amt - coalesce(txn_tax_detail__total_tax, 0)) as net_amount,
    total_amt = 0 and lower(coalesce(private_note, '')) like '%void%' as is_void,
    cast(txn_date as date) as invoiced_on,
    valid_from,
    known_valid_to as valid_to

from versions
