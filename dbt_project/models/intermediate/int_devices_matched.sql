-- The same machine seen by tools of different categories: pairs of records of one client, by serial number, then
-- by network address, then by host name. A pair is a match where neither record has another partner on the other's
-- list; where one has, every pair there could be is kept and none is picked, and weaker evidence decides nothing.
{% set steps = ["serial", "address", "name"] %}
with

    lists as (select distinct client_id, list_key, category_rank from {{ ref("int_devices_unioned") }}),

    others as (
        select
            own.client_id,
            own.list_key,
            other.list_key as other_list_key,
            own.category_rank < other.category_rank as is_left
        from lists as own
        inner join lists as other on other.client_id = own.client_id and other.category_rank <> own.category_rank
    ),

    {% for step in steps %}
        {% set before = steps[loop.index0 - 1] %}

        -- Each record looks for its partner on every other list, unless stronger evidence has spoken.
        sides_{{ step }} as (
            select
                keys.client_id,
                keys.list_key,
                keys.record_path,
                keys.key_text,
                others.other_list_key,
                others.is_left,
                row_number() over (
                    partition by keys.client_id, keys.list_key, others.other_list_key, keys.key_text
                    order by keys.record_path
                ) as place
            from {{ ref("int_device_keys") }} as keys
            inner join others on others.client_id = keys.client_id and others.list_key = keys.list_key
            {% if not loop.first %}
                left join
                    settled_{{ before }} as settled
                    on settled.record_path = keys.record_path
                    and settled.other_list_key = others.other_list_key
            {% endif %}
            where keys.step = '{{ step }}' {% if not loop.first %} and settled.record_path is null {% endif %}
        ),

        -- Where hundreds share a name, the first of each list stand for all: more than one is ambiguous as it is.
        pairs_{{ step }} as (
            {% for few in ["lefts", "rights"] %}
                select
                    lefts.client_id,
                    lefts.list_key as left_list_key,
                    lefts.record_path as left_path,
                    rights.list_key as right_list_key,
                    rights.record_path as right_path
                from sides_{{ step }} as lefts
                inner join
                    sides_{{ step }} as rights
                    on rights.client_id = lefts.client_id
                    and rights.key_text = lefts.key_text
                    and rights.list_key = lefts.other_list_key
                    and rights.other_list_key = lefts.list_key
                where lefts.is_left and {{ few }}.place <= 10
                {% if not loop.last %}
                    union
                {% endif %}
            {% endfor %}
        ),

        judged_{{ step }} as (
            select
                *,
                '{{ step }}' as step,
                count(*) over (partition by left_path, right_list_key) = 1
                and count(*) over (partition by right_path, left_list_key) = 1 as is_match
            from pairs_{{ step }}
        ),

        settled_{{ step }} as (
            select left_path as record_path, right_list_key as other_list_key
            from judged_{{ step }}
            union
            select right_path as record_path, left_list_key as other_list_key
            from judged_{{ step }}
            {% if not loop.first %}
                union
                select record_path, other_list_key
                from settled_{{ before }}
            {% endif %}
        ),

    {% endfor %}

    judged as (
        {% for step in steps %}
            select *
            from judged_{{ step }}
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    )

select client_id, left_list_key, left_path, right_list_key, right_path, step as matched_by, is_match
from judged
