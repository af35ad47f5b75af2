-- Where a client has fewer of a component than its bundles promise: expected as contracted, found as observed.
with

    short as (
        select
            sources.period_month,
            sources.last_on,
            sources.source_as_of_at,
            positions.client_id,
            positions.service_id,
            positions.vendor,
            positions.observed_quantity,
            positions.covered_quantity
        from {{ ref("int_period_sources") }} as sources
        inner join
            {{ ref("int_positions") }} as positions
            on positions.client_id = sources.client_id
            and positions.service_id = sources.service_id
            and positions.vendor = sources.vendor
            and {{ stands_on("positions", "sources.last_on") }}
        where sources.source_state = 'known' and positions.covered_quantity > positions.observed_quantity
    ),

    promised as (
        select
            short.client_id,
            short.service_id,
            short.period_month,
            {{ dbt.listagg("distinct bundles.service_name", "', '", "order by bundles.service_name") }} as bundle_names,
            min(case when sources.source_state = 'known' then 1 else 0 end) = 1 as is_known
        from short
        inner join {{ ref("int_bundles") }} as contents on contents.component_service_id = short.service_id
        inner join
            {{ ref("int_contract_versions") }} as contracts
            on contracts.client_id = short.client_id
            and contracts.service_id = contents.bundle_service_id
            and contracts.effective_from <= short.last_on
            and contracts.effective_to > short.last_on
        inner join {{ ref("int_services") }} as bundles on bundles.service_id = contents.bundle_service_id
        left join
            {{ ref("int_period_sources") }} as sources
            on sources.client_id = short.client_id
            and sources.service_id = contents.bundle_service_id
            and sources.vendor = contracts.count_vendor
            and sources.period_month = short.period_month
        group by short.client_id, short.service_id, short.period_month
    ),

    -- The day after the last one on which everything promised was there.
    delivered as (
        select
            short.client_id,
            short.service_id,
            short.period_month,
            max({{ plus_days(-1, "positions.position_to") }}) as delivered_on
        from short
        inner join
            {{ ref("int_positions") }} as positions
            on positions.client_id = short.client_id
            and positions.service_id = short.service_id
            and positions.position_to <= short.last_on
            and coalesce(positions.covered_quantity, 0) <= positions.observed_quantity
        group by short.client_id, short.service_id, short.period_month
    ),

    begun as (
        select client_id, service_id, min(position_from) as first_on
        from {{ ref("int_positions") }}
        where covered_quantity is not null
        group by client_id, service_id
    )

select
    short.*,
    clients.client_name,
    clients.currency,
    services.service_name,
    promised.bundle_names,
    cast(short.observed_quantity - short.covered_quantity as decimal(18, 4)) as variance_quantity,
    coalesce({{ plus_days(1, "delivered.delivered_on") }}, begun.first_on) as began_on,
    delivered.delivered_on is not null as has_agreed_set
from short
inner join
    promised
    on promised.client_id = short.client_id
    and promised.service_id = short.service_id
    and promised.period_month = short.period_month
    and promised.is_known
inner join {{ ref("int_clients") }} as clients on clients.client_id = short.client_id
inner join {{ ref("int_services") }} as services on services.service_id = short.service_id
inner join begun on begun.client_id = short.client_id and begun.service_id = short.service_id
left join
    delivered
    on delivered.client_id = short.client_id
    and delivered.service_id = short.service_id
    and delivered.period_month = short.period_month
