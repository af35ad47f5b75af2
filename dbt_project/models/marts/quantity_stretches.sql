{% set of_scope = "connection_id, endpoint, tenant_id, time_zone, allowed_age_minutes" %}
with

    states as (select client_id, service_id, vendor, source_state from {{ ref("int_period_sources") }} where is_open),

    -- What feeds a service of a client, from one day to another.
    fed as (
        select distinct client_id, service_id, vendor, {{ of_scope }}, effective_from, effective_to
        from {{ ref("int_client_scopes") }}
    ),

    -- A complete reading speaks for its own day, and for those after it until it is too old.
    readings as (
        select
            scopes.*,
            days.complete_on,
            {{ plus_days("cast(ceil(scopes.allowed_age_minutes / 1440.0) as integer) + 1", "days.complete_on") }}
            as old_on
        from (select distinct {{ of_scope }} from fed) as scopes
        left join
            {{ ref("int_complete_days") }} as days
            on days.connection_id = scopes.connection_id
            and days.endpoint = scopes.endpoint
            and days.tenant_id = scopes.tenant_id
            and days.time_zone = scopes.time_zone
    ),

    -- From which day to which nothing that was read of a list speaks: such stretches are few, and days are many.
    silences as (
        select
            {{ of_scope }},
            cast('1900-01-01' as date) as silent_from,
            coalesce(min(complete_on), cast('9999-12-31' as date)) as silent_to
        from readings
        group by {{ of_scope }}
        union all
        select
            {{ of_scope }},
            old_on as silent_from,
            coalesce(
                lead(complete_on) over (partition by {{ of_scope }} order by complete_on), cast('9999-12-31' as date)
            ) as silent_to
        from readings
        where complete_on is not null
    ),

    -- How far the lists before one reach: what lies between is fed by none.
    reaches as (
        select
            client_id,
            service_id,
            vendor,
            effective_from,
            effective_to,
            max(effective_to) over (
                partition by client_id, service_id, vendor
                order by effective_from, effective_to
                rows between unbounded preceding and 1 preceding
            ) as reached_to,
            max(effective_to) over (partition by client_id, service_id, vendor) as last_to
        from (select distinct client_id, service_id, vendor, effective_from, effective_to from fed) as ranges
    ),

    unread as (
        select
            fed.client_id,
            fed.service_id,
            fed.vendor,
            case
                when silences.silent_from > fed.effective_from then silences.silent_from else fed.effective_from
            end as unread_from,
            case
                when silences.silent_to < fed.effective_to then silences.silent_to else fed.effective_to
            end as unread_to
        from fed
        inner join
            silences
            on silences.connection_id = fed.connection_id
            and silences.endpoint = fed.endpoint
            and silences.tenant_id = fed.tenant_id
            and silences.time_zone = fed.time_zone
            and silences.allowed_age_minutes = fed.allowed_age_minutes
        union all
        select
            client_id,
            service_id,
            vendor,
            coalesce(reached_to, cast('1900-01-01' as date)) as unread_from,
            effective_from as unread_to
        from reaches
        union all
        select distinct client_id, service_id, vendor, last_to as unread_from, cast('9999-12-31' as date) as unread_to
        from reaches
    ),

    spans as (
        select
            positions.client_id,
            positions.service_id,
            positions.vendor,
            min(positions.position_from) as first_on,
            max(positions.position_to) as end_on
        from {{ ref("int_positions") }} as positions
        group by positions.client_id, positions.service_id, positions.vendor
    ),

    clipped as (
        select
            spans.client_id,
            spans.service_id,
            spans.vendor,
            case
                when unread.unread_from > spans.first_on then unread.unread_from else spans.first_on
            end as unread_from,
            case when unread.unread_to < spans.end_on then unread.unread_to else spans.end_on end as unread_to
        from spans
        inner join
            unread
            on unread.client_id = spans.client_id
            and unread.service_id = spans.service_id
            and unread.vendor = spans.vendor
        union all
        -- Nothing feeds it at any time.
        select spans.client_id, spans.service_id, spans.vendor, spans.first_on as unread_from, spans.end_on as unread_to
        from spans
        left join
            (select distinct client_id, service_id, vendor from fed) as feeding
            on feeding.client_id = spans.client_id
            and feeding.service_id = spans.service_id
            and feeding.vendor = spans.vendor
        where feeding.client_id is null
    ),

    starts as (
        select
            *,
            case
                when
                    max(unread_to) over (
                        partition by client_id, service_id, vendor
                        order by unread_from, unread_to
                        rows between unbounded preceding and 1 preceding
                    )
                    >= unread_from
                then 0
                else 1
            end as is_start
        -- Lists that fall silent together do so once: of two that are alike nobody could say which comes first.
        from (select distinct client_id, service_id, vendor, unread_from, unread_to from clipped) as ranges
        where unread_from < unread_to
    ),

    numbered as (
        select
            *,
            sum(is_start) over (
                partition by client_id, service_id, vendor
                order by unread_from, unread_to
                rows between unbounded preceding and current row
            ) as number
        from starts
    ),

    gaps as (
        select client_id, service_id, vendor, min(unread_from) as unread_from, max(unread_to) as unread_to
        from numbered
        group by client_id, service_id, vendor, number
    ),

    -- The days inside a stretch of int_positions from which on it is told of in another way.
    cuts as (
        select distinct positions.client_id, positions.service_id, positions.position_from, edges.edge_on as cut_on
        from {{ ref("int_positions") }} as positions
        inner join
            (
                select client_id, service_id, vendor, unread_from as edge_on
                from gaps
                union all
                select client_id, service_id, vendor, unread_to as edge_on
                from gaps
                union all
                select spans.client_id, spans.service_id, spans.vendor, clients.today_on as edge_on
                from spans
                inner join {{ ref("int_clients") }} as clients on clients.client_id = spans.client_id
            ) as edges
            on edges.client_id = positions.client_id
            and edges.service_id = positions.service_id
            and edges.vendor = positions.vendor
            and {{ stands_on("positions", "edges.edge_on") }}
            and edges.edge_on > positions.position_from
    ),

    points as (
        select client_id, service_id, position_from, position_from as stretch_from
        from {{ ref("int_positions") }}
        union all
        select client_id, service_id, position_from, cut_on as stretch_from
        from cuts
    ),

    stretched as (
        select
            *,
            lead(stretch_from) over (
                partition by client_id, service_id, position_from order by stretch_from
            ) as next_from
        from points
    ),

    stretches as (
        select stretched.stretch_from, coalesce(stretched.next_from, positions.position_to) as stretch_to, positions.*
        from stretched
        inner join
            {{ ref("int_positions") }} as positions
            on positions.client_id = stretched.client_id
            and positions.service_id = stretched.service_id
            and positions.position_from = stretched.position_from
    )

select
    stretches.client_id,
    stretches.service_id,
    stretches.vendor,
    stretches.stretch_from as first_on,
    {{ plus_days(-1, "stretches.stretch_to") }} as last_on,
    coalesce(stretches.connection_ids, '') as connection_id,
    stretches.observed_quantity,
    stretches.billable_quantity,
    cast(coalesce(stretches.contracted_quantity, 0) as decimal(18, 4)) as contracted_quantity,
    stretches.variance_quantity,
    case
        when stretches.stretch_from = clients.today_on and coalesce(states.source_state, 'unknown') <> 'known'
        then coalesce(states.source_state, 'unknown')
        when stretches.stretch_from < clients.today_on and gaps.client_id is not null
        then 'stale'
        when stretches.observed_quantity = 0
        then 'zero'
        else 'known'
    end as source_state
from stretches
inner join {{ ref("int_clients") }} as clients on clients.client_id = stretches.client_id
left join
    gaps
    on gaps.client_id = stretches.client_id
    and gaps.service_id = stretches.service_id
    and gaps.vendor = stretches.vendor
    and gaps.unread_from <= stretches.stretch_from
    and gaps.unread_to > stretches.stretch_from
left join
    states
    on states.client_id = stretches.client_id
    and states.service_id = stretches.service_id
    and states.vendor = stretches.vendor
