with versions as ({{ known_versions(source("quickbooks_online", "invoices")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as accounting_id,
    doc_number,
    customer_ref__value as customer_id,
    currency_ref__value as currency,
    private_note,
    total_amt as total_amount,
    cast(txn_date as date) as invoiced_on,
    valid_from,
    known_valid_to as valid_to

from versions
