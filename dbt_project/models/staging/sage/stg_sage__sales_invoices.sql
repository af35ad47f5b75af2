-- A draft is in no account and bills nothing until it is released: from then on it is an invoice here. Ours are
-- followed from the first.
with versions as ({{ known_versions(source("sage", "sales_invoices")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as accounting_id,
    displayed_as as doc_number,
    contact__id as customer_id,
    currency__id as currency,
    notes as note,
    is_credit_note as is_credit,
    case when is_credit_note then - net_amount else net_amount end as net_amount,
    status__id = 'VOID' as is_void,
    cast(date as date) as invoiced_on,
    valid_from,
    known_valid_to as valid_to

from versions
where
    (status__id not in ('DRAFT', 'PRO_FORMA') or {{ marked_reference("notes") }} is not null) and deleted_at is null
