-- Which exclusion covers which version of a record, and from which day to which. An exclusion with a number covers so
-- many units and no more: the first that came under it, for good. One that is a number and nothing else is about those
-- that stood there on its first day.
with

    -- An exclusion names a record, or records of a client, or of
    -- everybody: three joins, so that only the last looks at all.
    {% set ways = [
        "lower(exclusions.record_id) = lower(records.record_id)",
        "exclusions.record_id is null and exclusions.client_id = records.client_id",
        "exclusions.record_id is null and exclusions.client_id is null",
    ] %}
    matches as (
        {% for way in ways %}
            select
                records.vendor,
                records.record_path,
                records.client_id,
                records.service_id,
                records.person_key,
                records.unit_count,
                records.start_on,
                records.end_on,
                exclusions.exclusion_id,
                exclusions.max_quantity,
                exclusions.effective_from,
                exclusions.record_id is null and exclusions.name_like is null as is_by_number,
                case
                    when exclusions.effective_from > records.start_on
                    then exclusions.effective_from
                    else records.start_on
                end as piece_from,
                case
                    when exclusions.expires_on < records.end_on then exclusions.expires_on else records.end_on
                end as piece_to,
                -- What is billed for no other reason takes up no place among so many.
                records.rule_name is null
                and records.state_reason is null
                and records.client_status <> 'internal'
                and (
                    records.is_primary or records.service_id is not null or records.service_reason is not null
                ) as is_sold
            from {{ ref("int_records_held") }} as records
            inner join
                {{ ref("int_exclusions_unioned") }} as exclusions
                on {{ way }}
                and (exclusions.client_id is null or exclusions.client_id = records.client_id)
                and (exclusions.service_id is null or exclusions.service_id = records.service_id)
                and (exclusions.vendor is null or exclusions.vendor = records.vendor)
                and (exclusions.name_like is null or lower(records.record_name) like exclusions.name_like escape '!')
                and exclusions.effective_from < records.end_on
                and exclusions.expires_on > records.start_on
            where exclusions.silent_days is null
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    -- A tool says since when something is silent, and the contract for how long it counts all the same.
    silent as (
        select
            records.vendor,
            records.record_path,
            records.start_on,
            records.end_on,
            records.client_id,
            records.service_id,
            {{ plus_days("exclusions.silent_days", silent_since("records.mark")) }} as silent_on,
            exclusions.exclusion_id,
            exclusions.effective_from,
            exclusions.expires_on
        from {{ ref("int_records_held") }} as records
        inner join
            {{ ref("int_exclusions_unioned") }} as exclusions
            on exclusions.client_id = records.client_id
            and exclusions.silent_days is not null
        -- A bundle may be counted by the records of a component.
        inner join
            {{ ref("int_services") }} as services
            on services.service_id = exclusions.service_id
            and services.counted_as = records.service_id
        where records.mark like '%silent since ____-__-__%'
    ),

    silenced as (
        select
            *,
            case
                when silent_on > start_on and silent_on > effective_from
                then silent_on
                when start_on > effective_from
                then start_on
                else effective_from
            end as piece_from,
            case when expires_on < end_on then expires_on else end_on end as piece_to
        from silent
    ),

    -- What is excluded without a limit needs no place under another exclusion's limit, for as long as it is.
    unlimited as (
        select vendor, record_path, start_on, end_on, exclusion_id, piece_from, piece_to
        from silenced
        where piece_from < piece_to
        union all
        select vendor, record_path, start_on, end_on, exclusion_id, piece_from, piece_to
        from matches
        where max_quantity is null and not is_by_number
    ),

    limited as (select * from matches where max_quantity is not null and is_sold),

    covered_otherwise as (
        select
            limited.exclusion_id,
            limited.vendor,
            limited.record_path,
            limited.start_on,
            limited.piece_from,
            limited.piece_to,
            unlimited.piece_from as free_from,
            unlimited.piece_to as free_to
        from limited
        inner join
            unlimited
            on unlimited.vendor = limited.vendor
            and unlimited.record_path = limited.record_path
            and unlimited.start_on = limited.start_on
            and unlimited.piece_from < limited.piece_to
            and unlimited.piece_to > limited.piece_from
    ),

    turns as (
        {% for turn in ["piece_from", "piece_to", "free_from", "free_to"] %}
            select exclusion_id, vendor, record_path, start_on, {{ turn }} as turn_on
            from covered_otherwise
            where {{ turn }} between piece_from and piece_to
            {% if not loop.last %}
                union
            {% endif %}
        {% endfor %}
    ),

    parts as (
        select
            *, lead(turn_on) over (partition by exclusion_id, vendor, record_path, start_on order by turn_on) as next_on
        from turns
    ),

    remaining as (
        select
            limited.*,
            coalesce(parts.turn_on, limited.piece_from) as part_from,
            coalesce(parts.next_on, limited.piece_to) as part_to
        from limited
        left join
            parts
            on parts.exclusion_id = limited.exclusion_id
            and parts.vendor = limited.vendor
            and parts.record_path = limited.record_path
            and parts.start_on = limited.start_on
            and parts.next_on is not null
        where
            not exists (
                select 1
                from covered_otherwise
                where
                    covered_otherwise.exclusion_id = limited.exclusion_id
                    and covered_otherwise.vendor = limited.vendor
                    and covered_otherwise.record_path = limited.record_path
                    and covered_otherwise.start_on = limited.start_on
                    and covered_otherwise.free_from <= coalesce(parts.turn_on, limited.piece_from)
                    and covered_otherwise.free_to >= coalesce(parts.next_on, limited.piece_to)
            )
    ),

    -- A person is one unit of a service that is sold by the user, whatever they hold.
    numbered as (
        select
            remaining.vendor,
            remaining.record_path,
            remaining.start_on,
            remaining.end_on,
            remaining.exclusion_id,
            remaining.max_quantity,
            remaining.is_by_number,
            remaining.part_from as piece_from,
            remaining.part_to as piece_to,
            case
                when services.unit = 'user' and remaining.person_key is not null
                then remaining.service_id || '|' || remaining.person_key
                else remaining.record_path
            end as holder_key,
            case
                when services.unit = 'user' and remaining.person_key is not null
                then cast(1 as decimal(18, 4))
                else remaining.unit_count
            end as units,
            case
                when firsts.first_observed_on > remaining.effective_from
                then firsts.first_observed_on
                else remaining.effective_from
            end as counted_on
        from remaining
        left join {{ ref("int_services") }} as services on services.service_id = remaining.service_id
        left join
            {{ ref("int_first_observed") }} as firsts
            on firsts.client_id = remaining.client_id
            and firsts.service_id = remaining.service_id
            and firsts.vendor = remaining.vendor
    ),

    appeared as (
        select
            numbered.exclusion_id,
            numbered.vendor,
            numbered.holder_key,
            min(records.start_on) as appeared_on,
            max(
                case when numbered.start_on <= numbered.counted_on and numbered.end_on > numbered.counted_on then 1 end
            ) as was_there
        from numbered
        inner join
            {{ ref("int_records_held") }} as records
            on records.vendor = numbered.vendor
            and records.record_path = numbered.record_path
        group by numbered.exclusion_id, numbered.vendor, numbered.holder_key
    ),

    -- What a record grows by comes later than the record.
    grown as (
        select
            numbered.*,
            appeared.appeared_on,
            numbered.units - coalesce(
                max(numbered.units) over (
                    partition by numbered.exclusion_id, numbered.vendor, numbered.holder_key
                    order by numbered.piece_from, numbered.record_path
                    rows between unbounded preceding and 1 preceding
                ),
                0
            ) as further_units
        from numbered
        inner join
            appeared
            on appeared.exclusion_id = numbered.exclusion_id
            and appeared.vendor = numbered.vendor
            and appeared.holder_key = numbered.holder_key
        where not numbered.is_by_number or appeared.was_there = 1
    ),

    -- Two tools list the same things: each has its own first so many.
    placed as (
        select
            *,
            sum(case when further_units > 0 then further_units else 0 end) over (
                partition by exclusion_id, vendor
                order by piece_from, appeared_on, holder_key, record_path
                rows between unbounded preceding and current row
            ) as place
        from grown
    ),

    -- A record is excluded whole, or not at all.
    fitted as (
        select
            *,
            max(case when further_units > 0 then place else 0 end) over (
                partition by exclusion_id, vendor, holder_key
                order by piece_from, record_path
                rows between unbounded preceding and current row
            ) as last_place
        from placed
    )

select vendor, record_path, start_on, end_on, exclusion_id, piece_from, piece_to
from unlimited
union all
select vendor, record_path, start_on, end_on, exclusion_id, piece_from, piece_to
from fitted
where last_place <= max_quantity
