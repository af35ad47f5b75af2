-- A person who holds a service only within another SKU counts once for it: as a record beside the real one, on the days
-- on which no licence of their own stands for that service.
with

    within as (select * from {{ ref("int_skus_within") }}),

    outright as (
        select
            records.vendor, records.person_key, records.client_id, records.service_id, records.start_on, records.end_on
        from {{ ref("int_records_classified") }} as records
        inner join
            (select distinct vendor, person_key, client_id, service_id from within) as persons
            on persons.vendor = records.vendor
            and persons.person_key = records.person_key
            and persons.client_id = records.client_id
            and persons.service_id = records.service_id
        where records.rule_name is null and records.state_reason is null
    ),

    points as (
        {% for source in ["within", "outright"] %}
            {% for day in ["start_on", "end_on"] %}
                select vendor, person_key, client_id, service_id, {{ day }} as piece_from
                from {{ source }}
                {% if not loop.last %}
                    union
                {% endif %}
            {% endfor %}
            {% if not loop.last %}
                union
            {% endif %}
        {% endfor %}
    ),

    pieces as (
        select
            *,
            lead(piece_from) over (
                partition by vendor, person_key, client_id, service_id order by piece_from
            ) as piece_to
        from points
    ),

    bare as (
        select pieces.*
        from pieces
        left join
            outright
            on outright.vendor = pieces.vendor
            and outright.person_key = pieces.person_key
            and outright.client_id = pieces.client_id
            and outright.service_id = pieces.service_id
            and outright.start_on <= pieces.piece_from
            and outright.end_on >= pieces.piece_to
        where pieces.piece_to is not null and outright.person_key is null
    ),

    chosen as (
        select
            bare.piece_from,
            bare.piece_to,
            within.*,
            row_number() over (
                partition by bare.vendor, bare.person_key, bare.client_id, bare.service_id, bare.piece_from
                order by within.record_path, within.included_sku
            ) as place
        from bare
        inner join
            within
            on within.vendor = bare.vendor
            and within.person_key = bare.person_key
            and within.client_id = bare.client_id
            and within.service_id = bare.service_id
            and within.start_on <= bare.piece_from
            and within.end_on >= bare.piece_to
    )

select
    records.vendor,
    records.endpoint,
    records.is_primary,
    records.record_path || '>' || chosen.included_sku as record_path,
    records.connection_id,
    records.tenant_id,
    records.company_id,
    records.client_id,
    records.client_status,
    chosen.service_id,
    chosen.pattern_key || '<' || chosen.sku as service_pattern_key,
    records.record_id,
    records.record_name,
    records.person_key,
    chosen.included_sku as sku,
    chosen.included_sku as sku_name,
    concat_ws(', ', 'included in ' || chosen.sku, records.mark) as mark,
    cast(1 as decimal(18, 4)) as unit_count,
    records.unit,
    records.is_current
    and chosen.piece_from <= records.standing_on
    and chosen.piece_to > records.standing_on as is_current,
    records.standing_on,
    chosen.piece_from as start_on,
    chosen.piece_to as end_on
from chosen
inner join
    {{ ref("int_records_classified") }} as records
    on records.vendor = chosen.vendor
    and records.record_path = chosen.record_path
    and records.start_on = chosen.start_on
where chosen.place = 1
