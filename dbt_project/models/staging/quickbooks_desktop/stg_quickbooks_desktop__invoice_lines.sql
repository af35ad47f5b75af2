with
    versions as ({{ known_versions(source("quickbooks_desktop", "invoice_lines")) }}),
    signed as (select versions.*, case when txn_type = 'CreditMemo' then -1 else 1 end as direction from versions)

select
    connection_id,
    tenant_id,
    record_key,
    txn_id as accounting_id,
    txn_line_id as line_id,
    item_ref__list_id as item_id,
    description,
    direction * quantity as quantity,
    rate as unit_price,
    cast(direction * amount as decimal(18, 4)) as amount,
    cast(service_date as date) as service_on,
    valid_from,
    known_valid_to as valid_to

from signed
