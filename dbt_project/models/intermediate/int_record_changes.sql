-- What happened to single records of a client's service, whether or not any total moved: one row where a record moved
-- from one service to another, and not one that went and one that came.
with

    turns as (
        select
            *,
            coalesce(from_standing, '') = 'counted' as was_counted,
            coalesce(to_standing, '') = 'counted' as is_counted,
            coalesce(from_client_id, '') = coalesce(to_client_id, '') as is_same_client,
            coalesce(from_service_id, '') = coalesce(to_service_id, '') as is_same_service
        from {{ ref("int_record_turns") }}
    ),

    -- A record that changed hands has gone from one client and come to another, and each is told of its own.
    sides as (
        select
            turns.*,
            to_client_id as client_id,
            case
                when is_counted and was_counted and is_same_client and not is_same_service
                then 'moved'
                when is_counted and was_counted and is_same_client and coalesce(from_mark, '') <> coalesce(to_mark, '')
                then 'state_changed'
                when is_counted and was_counted and is_same_client and from_quantity <> to_quantity
                then 'quantity_changed'
                when is_counted and is_same_client and from_standing = 'excluded'
                then 'no_longer_excluded'
                when to_standing = 'excluded' and coalesce(from_standing, '') <> 'excluded'
                then 'excluded'
                when is_counted and not (was_counted and is_same_client)
                then 'added'
            end as change
        from turns
        where to_client_id is not null
        union all
        select turns.*, from_client_id as client_id, 'removed' as change
        from turns
        where was_counted and not (is_counted and is_same_client) and coalesce(to_standing, '') <> 'excluded'
    ),

    -- Somebody whose licence was exchanged for another is no leak and no ghost either.
    ranked as (
        select
            sides.*,
            row_number() over (
                partition by client_id, person_key, turned_on, change
                order by coalesce(to_service_id, from_service_id), record_path
            ) as place
        from sides
        where change is not null and client_id is not null
    ),

    exchanged as (
        select
            came.vendor,
            came.record_path,
            came.turned_on,
            went.record_path as from_record_path,
            went.from_service_id,
            went.from_quantity,
            went.sku as from_sku
        from ranked as came
        inner join
            ranked as went
            on went.client_id = came.client_id
            and went.person_key = came.person_key
            and went.turned_on = came.turned_on
            and went.place = came.place
            and went.change = 'removed'
            and went.to_standing is null
        where came.change = 'added' and came.from_standing is null
    ),

    settled as (
        select
            ranked.vendor,
            ranked.connection_id,
            ranked.record_path,
            coalesce(exchanged.from_record_path, ranked.record_path) as from_record_path,
            ranked.record_id,
            ranked.record_name,
            ranked.client_id,
            ranked.turned_on as changed_on,
            coalesce(exchanged.from_service_id, ranked.from_service_id) as from_service_id,
            ranked.to_service_id,
            case
                when exchanged.record_path is null
                then ranked.change
                when exchanged.from_service_id = ranked.to_service_id
                then 'state_changed'
                else 'moved'
            end as change,
            coalesce(ranked.to_quantity, ranked.from_quantity) as quantity,
            coalesce(exchanged.from_quantity, ranked.from_quantity) as from_quantity,
            ranked.from_standing,
            coalesce(exchanged.from_sku, ranked.from_mark) as from_mark,
            coalesce(case when exchanged.record_path is not null then ranked.sku end, ranked.to_mark) as to_mark,
            ranked.from_reason,
            ranked.to_reason,
            ranked.to_standing,
            ranked.is_same_client
        from ranked
        left join
            exchanged
            on exchanged.vendor = ranked.vendor
            and exchanged.record_path = ranked.record_path
            and exchanged.turned_on = ranked.turned_on
            and ranked.change = 'added'
        left join
            (select vendor, from_record_path, turned_on from exchanged) as taken
            on taken.vendor = ranked.vendor
            and taken.from_record_path = ranked.record_path
            and taken.turned_on = ranked.turned_on
            and ranked.change = 'removed'
        where taken.from_record_path is null
    ),

    named as (
        select
            settled.*,
            case
                when settled.change in ('removed', 'excluded')
                then coalesce(settled.from_service_id, settled.to_service_id)
                else settled.to_service_id
            end as service_id,
            came_to.service_name as to_service_name,
            came_from.service_name as from_service_name,
            cast(settled.changed_on as {{ dbt.type_string() }}) as day
        from settled
        -- An exclusion may have its end in a month to come.
        inner join
            {{ ref("int_clients") }} as clients
            on clients.client_id = settled.client_id
            and clients.today_on >= settled.changed_on
        left join {{ ref("int_services") }} as came_to on came_to.service_id = settled.to_service_id
        left join {{ ref("int_services") }} as came_from on came_from.service_id = settled.from_service_id
    )

select
    client_id,
    service_id,
    case when change = 'moved' then from_service_id end as from_service_id,
    changed_on,
    change,
    vendor,
    connection_id,
    record_path,
    from_record_path,
    record_id,
    record_name,
    quantity,
    -- What its own line says of it, and what the line it left does.
    case
        change
        when 'moved'
        then 'moved from ' || from_service_name || ' on ' || day
        when 'quantity_changed'
        then
            {{ say_quantity("from_quantity") }}
            || ' until '
            || day
            || ', '
            || {{ say_quantity("quantity") }}
            || ' since'
        when 'no_longer_excluded'
        then 'not billed until ' || day || ' (' || from_reason || ')'
        when 'excluded'
        then to_reason || ' since ' || day
        when 'state_changed'
        then
            case
                when to_mark is null
                then 'until ' || day || ': ' || from_mark
                when from_mark is null
                then 'since ' || day || ': ' || to_mark
                else 'since ' || day || ': ' || to_mark || '; before: ' || from_mark
            end
        when 'removed'
        then
            case
                when to_standing is null
                then 'no longer listed since ' || day
                when is_same_client
                then to_reason || ' since ' || day
                else 'of another company since ' || day
            end
        else
            case
                when from_standing is null
                then 'listed since ' || day
                when from_reason is not null
                then 'until ' || day || ' ' || from_reason
                else 'of another company until ' || day
            end
    end as note,
    change in ('moved', 'quantity_changed', 'no_longer_excluded')
    or (
        change in ('added', 'removed')
        and coalesce(case change when 'added' then from_standing else to_standing end, '') <> ''
    ) as is_more_than_come_or_gone,
    case when change = 'moved' then 'moved to ' || to_service_name || ' on ' || day end as note_where_it_left
from named
