-- For each client and kind of tool, the lists that show machines, by name
-- or by number, and how far they can be trusted together.
{% set naming = var("devices") | map(attribute="vendor") | list %}
with

    read as (
        select lists.*, scopes.category, scopes.declared_as
        from {{ ref("int_client_lists") }} as lists
        inner join
            {{ ref("stg_morton__scopes") }} as scopes
            on scopes.connection_id = lists.connection_id
            and scopes.tenant_id = lists.tenant_id
            and scopes.endpoint = lists.endpoint
            and scopes.category in ('rmm', 'security', 'backup')
        where lists.is_current
    ),

    -- A tool that is declared shows machines if it names any: one that counts mailboxes may be about security as well.
    lists as (
        {% for d in var("devices") %}
            select *
            from read
            where
                endpoint = '{{ d.endpoint }}'
                {% if d.is_declared %}
                    and declared_as = '{{ d.vendor }}'
                    and connection_id in (select connection_id from {{ ref("int_devices_unioned") }})
                {% else %} and vendor = '{{ d.vendor }}'
                {% endif %}
            union all
        {% endfor %}
        {% for e in countable_endpoints() if e.vendor not in naming %}
            select *
            from read
            where vendor = '{{ e.vendor }}' and endpoint = '{{ e.endpoint }}'
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
        from (select distinct client_id, category, {{ vendor_title("lists.vendor") }} as title from lists) as named
        group by client_id, category
    )

select states.client_id, states.category, states.source_state, states.fresh_until_at, titles.titles
from states
inner join titles on titles.client_id = states.client_id and titles.category = states.category
