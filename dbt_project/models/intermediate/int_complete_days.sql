-- The client-local days a scope was read for to the end: those its readings stand for.
with

    readings as (
        select
            scopes.connection_id,
            scopes.endpoint,
            scopes.tenant_id,
            zones.time_zone,
            extractions.known_at,
            coalesce(days.stands_for_on, {{ local_date("extractions.known_at", "zones.time_zone") }}) as complete_on
        from
            (select distinct connection_id, endpoint, tenant_id, time_zone from {{ ref("int_client_scopes") }}) as zones
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
        left join
            {{ ref("int_reading_days") }} as days
            on days.connection_id = extractions.connection_id
            and days.endpoint = extractions.endpoint
            and days.tenant_id = extractions.tenant_id
            and days.time_zone = zones.time_zone
            and days.known_at = extractions.known_at
    )

select connection_id, endpoint, tenant_id, time_zone, complete_on, max(known_at) as complete_at
from readings
group by connection_id, endpoint, tenant_id, time_zone, complete_on
