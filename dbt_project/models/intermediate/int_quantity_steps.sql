-- The observed quantity of a client's service at one vendor connection, from each day it changed.
with

    -- A bundle that no mapping names is counted, where somebody bought it, by the records of its first component.
    bundles as (
        select distinct contracts.client_id, contracts.service_id, services.counted_as
        from {{ ref("int_contract_versions") }} as contracts
        inner join
            {{ ref("int_services") }} as services
            on services.service_id = contracts.service_id
            and services.is_counted_by_component
    ),

    standing as (
        select
            client_id,
            service_id,
            service_id as counted_as,
            vendor,
            connection_id,
            record_path,
            person_key,
            unit_count,
            spell_from,
            spell_to
        from {{ ref("int_spells") }}
        where standing = 'counted'
        union all
        select
            spells.client_id,
            bundles.service_id,
            bundles.counted_as,
            spells.vendor,
            spells.connection_id,
            spells.record_path,
            spells.person_key,
            spells.unit_count,
            spells.spell_from,
            spells.spell_to
        from {{ ref("int_spells") }} as spells
        inner join bundles on bundles.client_id = spells.client_id and bundles.counted_as = spells.service_id
        where spells.standing = 'counted'
    ),

    counted as (
        select
            standing.*,
            -- Where a record says nothing of a person, it counts as many as it says: one, or those behind one account.
            standing.person_key as holder_key,
            services.unit = 'user' and standing.person_key is not null as is_by_person
        from standing
        inner join {{ ref("int_services") }} as services on services.service_id = standing.counted_as
    ),

    -- A person holding two licences, or one that changed hands
    -- of SKU, is one seat: their overlapping spells are joined.
    persons as (
        select
            *,
            max(spell_to) over (
                partition by client_id, service_id, vendor, connection_id, holder_key
                order by spell_from, spell_to, record_path
                rows between unbounded preceding and 1 preceding
            ) as held_until
        from counted
        where is_by_person
    ),

    stints as (
        select
            *,
            sum(case when held_until >= spell_from then 0 else 1 end) over (
                partition by client_id, service_id, vendor, connection_id, holder_key
                order by spell_from, spell_to, record_path
                rows between unbounded preceding and current row
            ) as stint
        from persons
    ),

    intervals as (
        select client_id, service_id, vendor, connection_id, unit_count, spell_from, spell_to
        from counted
        where not is_by_person
        union all
        select client_id, service_id, vendor, connection_id, cast(1 as decimal(18, 4)), min(spell_from), max(spell_to)
        from stints
        group by client_id, service_id, vendor, connection_id, holder_key, stint
    ),

    steps as (
        select client_id, service_id, vendor, connection_id, spell_from as step_on, unit_count as step
        from intervals
        union all
        select client_id, service_id, vendor, connection_id, spell_to as step_on, - unit_count as step
        from intervals
    ),

    daily as (
        select client_id, service_id, vendor, connection_id, step_on, sum(step) as step
        from steps
        group by client_id, service_id, vendor, connection_id, step_on
    )

select
    client_id,
    service_id,
    vendor,
    connection_id,
    step_on as quantity_from,
    coalesce(
        lead(step_on) over (partition by client_id, service_id, vendor, connection_id order by step_on),
        cast('9999-12-31' as date)
    ) as quantity_to,
    cast(
        sum(step) over (
            partition by client_id, service_id, vendor, connection_id
            order by step_on
            rows between unbounded preceding and current row
        ) as decimal(18, 4)
    ) as quantity
from daily
