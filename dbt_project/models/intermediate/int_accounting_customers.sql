{{ config(materialized="view") }}
-- Whom the accounting system bills, as it stands.
with customers as ({{ accounting_rows("customers", ["connection_id", "customer_id"]) }})

select connection_id, customer_id
from customers
where valid_to is null
