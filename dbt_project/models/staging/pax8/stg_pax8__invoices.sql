with versions as ({{ known_versions(source("pax8", "invoices")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as invoice_id,
    company_id,
    external_id,
    partner_name,
    status,
    currency_code as currency,
    total as total_amount,
    lower(status) = 'void' as is_void,
    cast(substr(invoice_date, 1, 10) as date) as invoiced_on,
    cast(substr(due_date, 1, 10) as date) as due_on,
    valid_from,
    known_valid_to as valid_to

from versions
