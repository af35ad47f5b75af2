with

    states as (select client_id, service_id, vendor, source_state from {{ ref("int_period_sources") }} where is_open),

    -- The days a complete reading speaks for: its own, and those after it until the next or until it is too old.
    readings as (
        select
            scopes.client_id,
            scopes.service_id,
            scopes.vendor,
            scopes.connection_id,
            scopes.endpoint,
            scopes.tenant_id,
            days.complete_on,
            {{ plus_days("cast(ceil(scopes.allowed_age_minutes / 1440.0) as integer)", "days.complete_on") }}
            as trusted_until_on,
            lead(days.complete_on) over (
                partition by
                    scopes.client_id,
                    scopes.service_id,
                    scopes.vendor,
                    scopes.connection_id,
                    scopes.endpoint,
                    scopes.tenant_id
                order by days.complete_on
            ) as next_complete_on
        from
            (
                select distinct
                    client_id, service_id, vendor, connection_id, endpoint, tenant_id, time_zone, allowed_age_minutes
                from {{ ref("int_client_scopes") }}
            ) as scopes
        inner join
            {{ ref("int_complete_days") }} as days
            on days.connection_id = scopes.connection_id
            and days.endpoint = scopes.endpoint
            and days.tenant_id = scopes.tenant_id
            and days.time_zone = scopes.time_zone
    ),

    positions as (
        select *, {{ each_day("position_from", plus_days(-1, "position_to")) }} as quantity_on
        from {{ ref("int_positions") }}
    ),

    -- A client may be mapped to one scope by several companies: it is read once.
    fed as (
        select distinct
            positions.client_id,
            positions.service_id,
            positions.vendor,
            positions.quantity_on,
            scopes.connection_id,
            scopes.endpoint,
            scopes.tenant_id
        from positions
        inner join
            {{ ref("int_client_scopes") }} as scopes
            on scopes.client_id = positions.client_id
            and scopes.service_id = positions.service_id
            and scopes.vendor = positions.vendor
            and scopes.effective_from <= positions.quantity_on
            and scopes.effective_to > positions.quantity_on
    ),

    trusted as (
        select
            fed.client_id,
            fed.service_id,
            fed.vendor,
            fed.quantity_on,
            min(case when readings.complete_on is null then 0 else 1 end) = 1 as is_read
        from fed
        left join
            readings
            on readings.client_id = fed.client_id
            and readings.service_id = fed.service_id
            and readings.vendor = fed.vendor
            and readings.connection_id = fed.connection_id
            and readings.endpoint = fed.endpoint
            and readings.tenant_id = fed.tenant_id
            and readings.complete_on <= fed.quantity_on
            and readings.trusted_until_on >= fed.quantity_on
            and (readings.next_complete_on is null or readings.next_complete_on > fed.quantity_on)
        group by fed.client_id, fed.service_id, fed.vendor, fed.quantity_on
    )

select
    positions.quantity_on,
    positions.client_id,
    positions.service_id,
    positions.vendor,
    coalesce(positions.connection_ids, '') as connection_id,
    positions.observed_quantity,
    positions.billable_quantity,
    cast(coalesce(positions.contracted_quantity, 0) as decimal(18, 4)) as contracted_quantity,
    positions.variance_quantity,
    case
        when positions.quantity_on = clients.today_on and coalesce(states.source_state, 'unknown') <> 'known'
        then coalesce(states.source_state, 'unknown')
        when positions.quantity_on < clients.today_on and not coalesce(trusted.is_read, false)
        then 'stale'
        when positions.observed_quantity = 0
        then 'zero'
        else 'known'
    end as source_state
from positions
inner join {{ ref("int_clients") }} as clients on clients.client_id = positions.client_id
left join
    trusted
    on trusted.client_id = positions.client_id
    and trusted.service_id = positions.service_id
    and trusted.vendor = positions.vendor
    and trusted.quantity_on = positions.quantity_on
left join
    states
    on states.client_id = positions.client_id
    and states.service_id = positions.service_id
    and states.vendor = positions.vendor
