-- Where a tool counts a client's machines, or what they fill,
-- and names none of them: any machine may be among those.
with

    counted as (
        select distinct classified.client_id, scopes.category, classified.connection_id, classified.vendor
        from {{ ref("int_records_classified") }} as classified
        inner join
            {{ ref("stg_morton__scopes") }} as scopes
            on scopes.connection_id = classified.connection_id
            and scopes.tenant_id = classified.tenant_id
            and scopes.endpoint = classified.endpoint
            and scopes.category in ('rmm', 'security', 'backup')
        where
            classified.is_current
            and classified.is_primary
            and classified.client_id is not null
            and classified.rule_name is null
            and classified.unit_count > 0
            -- People and their mailboxes are no machines, whatever protects them.
            and (
                coalesce(classified.unit, 'device') in ('device', 'agent')
                or (scopes.category = 'backup' and classified.unit in ('gigabyte', 'other'))
            )
    ),

    named as (select distinct client_id, connection_id from {{ ref("int_devices_unioned") }}),

    nameless as (
        select distinct counted.client_id, counted.category, {{ vendor_title("counted.vendor") }} as title
        from counted
        left join named on named.client_id = counted.client_id and named.connection_id = counted.connection_id
        where named.connection_id is null
    )

select client_id, category, {{ dbt.listagg("title", "', '", "order by title") }} as titles
from nameless
group by client_id, category
