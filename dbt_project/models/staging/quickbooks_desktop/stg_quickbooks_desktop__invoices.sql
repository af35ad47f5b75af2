with versions as ({{ known_versions(source("quickbooks_desktop", "invoices")) }})

select
    connection_id,
    tenant_id,
    record_key,
    txn_id as accounting_id,
    ref_number as doc_number,
    customer_ref__list_id as customer_id,
    currency,
    memo as note,
    txn_type = 'CreditMemo' as is_credit,
    case when txn_type = 'CreditMemo' then - subtotal else subtotal end as net_amount,
    -- A voided document keeps its number, bills nothing, and says so in its note; a deleted one is gone.
    upper(coalesce(memo, '')) like 'VOID%' and coalesce(subtotal, 0) = 0 as is_void,
    cast(txn_date as date) as invoiced_on,
    valid_from,
    known_valid_to as valid_to

from versions
