-- A draft counts: it waits to be released, and when somebody deletes it instead, it is gone here too.
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
    cast(case when is_credit_note then - net_amount else net_amount end as decimal(18, 4)) as net_amount,
    status__id = 'VOID' as is_void,
    cast(date as date) as invoiced_on,
    valid_from,
    known_valid_to as valid_to

from versions
where deleted_at is null
