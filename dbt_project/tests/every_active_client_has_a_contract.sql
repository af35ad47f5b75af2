{{ config(severity="warn", meta={"dagster": {"ref": {"name": "int_clients"}}}) }}
-- A failing row is an active client with whom nothing is agreed for today or later, and whose note does not say why.
select clients.client_id, clients.client_name
from {{ ref("clients") }} as clients
inner join {{ ref("int_clients") }} as dated on dated.client_id = clients.client_id
left join
    {{ ref("contracts") }} as contracts
    on contracts.client_id = clients.client_id
    and (contracts.effective_to is null or contracts.effective_to > dated.today_on)
where
    dated.status = 'active'
    and contracts.client_id is null
    and lower(coalesce(clients.note, '')) not like 'no contract:%'
