-- The client-local days on which a scope was read to the end.
select
    scopes.connection_id,
    scopes.endpoint,
    scopes.tenant_id,
    zones.time_zone,
    {{ local_date("extractions.known_at", "zones.time_zone") }} as complete_on,
    max(extractions.known_at) as complete_at
from (select distinct connection_id, endpoint, tenant_id, time_zone from {{ ref("int_client_scopes") }}) as zones
inner join
    {{ ref("stg_morton__scopes") }} as scopes
    on scopes.connection_id = zones.connection_id
    and scopes.endpoint = zones.endpoint
    and scopes.tenant_id = zones.tenant_id
inner join
    {{ ref("stg_morton__extractions") }} as extractions
    on extractions.connection_id = scopes.connection_id
    and extractions.endpoint = scopes.endpoint
    and extractions.tenant_id = scopes.tenant_id
    and extractions.is_complete
group by
    scopes.connection_id,
    scopes.endpoint,
    scopes.tenant_id,
    zones.time_zone,
    {{ local_date("extractions.known_at", "zones.time_zone") }}
