with

states as (
    select client_id, service_id, vendor, source_state
    from {{ ref('int_period_sources') }}
    where is_open
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
        when positions.observed_quantity = 0 then 'zero'
        else 'known'
    end as source_state
from {{ ref('int_daily_positions') }} as positions
inner join {{ ref('int_clients') }} as clients on clients.client_id = positions.client_id
left join states
    on
        states.client_id = positions.client_id
        and states.service_id = positions.service_id
        and states.vendor = positions.vendor
