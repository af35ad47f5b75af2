with versions as ({{ known_versions(source("xero", "invoices")) }})

select
    connection_id,
    tenant_id,
    record_key,
    invoice_id as accounting_id,
    invoice_number as doc_number,
    contact__contact_id as customer_id,
    currency_code as currency,
    reference as note,
    type = 'ACCRECCREDIT' as is_credit,
    cast(case when type = 'ACCRECCREDIT' then - sub_total else sub_total end as decimal(18, 4)) as net_amount,
    -- Voided ones were in the books, deleted ones were drafts; neither bills anything.
    status in ('VOIDED', 'DELETED') as is_void,
    cast(date_string as date) as invoiced_on,
    valid_from,
    known_valid_to as valid_to

from versions
