-- What we know of each scope at the instant of this build: fresh, stale, or never read.
with

    attempts as (
        select
            *, row_number() over (partition by connection_id, endpoint, tenant_id order by attempted_at desc) as place
        from {{ ref("stg_morton__extractions") }}
    ),

    complete as (
        select connection_id, endpoint, tenant_id, max(known_at) as last_complete_at
        from {{ ref("stg_morton__extractions") }}
        where is_complete
        group by connection_id, endpoint, tenant_id
    )

select
    scopes.connection_id,
    scopes.vendor,
    scopes.endpoint,
    scopes.tenant_id,
    scopes.tenant_name,
    scopes.allowed_age_minutes,
    scopes.secret_expires_on,
    complete.last_complete_at,
    attempts.attempted_at as last_attempt_at,
    case when not attempts.is_complete then attempts.reason end as last_error,
    attempts.record_count,
    case
        when attempts.status = 'partial' and not attempts.is_complete
        then 'partial'
        when complete.last_complete_at is null
        then 'unknown'
        when not attempts.is_complete
        then 'stale'
        when {{ dbt.datediff("complete.last_complete_at", "clock.as_of_at", "minute") }} > scopes.allowed_age_minutes
        then 'stale'
        when attempts.record_count = 0
        then 'zero'
        else 'known'
    end as state
from {{ ref("stg_morton__scopes") }} as scopes
cross join {{ ref("stg_morton__clock") }} as clock
left join
    attempts
    on attempts.connection_id = scopes.connection_id
    and attempts.endpoint = scopes.endpoint
    and attempts.tenant_id = scopes.tenant_id
    and attempts.place = 1
left join
    complete
    on complete.connection_id = scopes.connection_id
    and complete.endpoint = scopes.endpoint
    and complete.tenant_id = scopes.tenant_id
-- A connection that was taken out of connections.yaml has no state any more, and its records count no more.
where scopes.is_connected
