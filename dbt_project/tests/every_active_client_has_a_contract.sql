{{ config(severity="warn", meta={"dagster": {"ref": {"name": "int_clients"}}}) }}
-- A failing row is an active client nothing was agreed with, and whose note does not say why.
select clients.client_id, clients.client_name
from {{ ref("clients") }} as clients
left join {{ ref("contracts") }} as contracts on contracts.client_id = clients.client_id
where
    lower(clients.status) = 'active'
    and contracts.client_id is null
    and lower(coalesce(clients.note, '')) not like 'no contract:%'
