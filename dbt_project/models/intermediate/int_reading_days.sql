-- The client-local day each reading stands for, in scopes that say which day they are of: a report of 30 June that
-- is read in July speaks of June. Readings of all other scopes stand for the moment they were made; none is listed.
with

    dated as (
        select distinct connection_id, endpoint, tenant_id
        from {{ ref("stg_morton__extractions") }}
        where stands_for_on is not null
    ),

    zones as (
        select time_zone
        from {{ ref("int_clients") }}
        where time_zone is not null
        union
        select 'UTC'
    ),

    -- A reading changes records when it is made; one that was held back, when it is accepted.
    readings as (
        select connection_id, endpoint, tenant_id, attempted_at as known_at, stands_for_on
        from {{ ref("stg_morton__extractions") }}
        where status in ('complete', 'partial')
        union
        select connection_id, endpoint, tenant_id, known_at, stands_for_on
        from {{ ref("stg_morton__extractions") }}
        where status in ('complete', 'partial')
    ),

    read as (
        select readings.*, zones.time_zone, {{ local_date("readings.known_at", "zones.time_zone") }} as read_on
        from readings
        inner join
            dated
            on dated.connection_id = readings.connection_id
            and dated.endpoint = readings.endpoint
            and dated.tenant_id = readings.tenant_id
        cross join zones
    )

select
    connection_id,
    endpoint,
    tenant_id,
    time_zone,
    known_at,
    -- Never a day that had not come yet where the client is, nor one before that of an
    -- earlier reading: the versions of a record follow one another.
    max(case when stands_for_on < read_on then stands_for_on else read_on end) over (
        partition by connection_id, endpoint, tenant_id, time_zone
        order by known_at
        rows between unbounded preceding and current row
    ) as stands_for_on
from read
