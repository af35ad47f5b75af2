-- For each client and kind of tool, the lists of machines there are and how far they can be trusted together.
with

    lists as (
        {% for d in var("devices") %}
            select client_id, '{{ d.category }}' as category, vendor, state, last_complete_at, fresh_until_at
            from {{ ref("int_client_lists") }}
            where vendor = '{{ d.vendor }}' and endpoint = '{{ d.endpoint }}' and is_current
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    states as (
        select
            client_id,
            category,
            {{ combined_state("state", "last_complete_at") }} as source_state,
            min(fresh_until_at) as fresh_until_at
        from lists
        group by client_id, category
    ),

    titles as (
        select client_id, category, {{ dbt.listagg("title", "', '", "order by title") }} as titles
        from (select distinct client_id, category, {{ vendor_title("vendor") }} as title from lists) as named
        group by client_id, category
    )

select states.client_id, states.category, states.source_state, states.fresh_until_at, titles.titles
from states
inner join titles on titles.client_id = states.client_id and titles.category = states.category
