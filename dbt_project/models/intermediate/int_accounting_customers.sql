{{ config(materialized="view") }}  -- Whom the accounting system bills, as it stands.
select connection_id, customer_id
from ({{ accounting_rows("customers", ["connection_id", "customer_id"]) }}) as customers
where valid_to is null
