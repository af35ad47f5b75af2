{{ config(materialized="view") }}
-- What each counted list is a number of, by tool: things deployed, licences people
-- hold, or what was bought. A tool that only lists what was bought is a distributor. And the column that tells a SKU.
{% for e in countable_endpoints() %}
    {% if e.is_declared %}
        select distinct
            vendor,
            endpoint,
            '{{ e.counts }}' as counts,
            '{{ e.sku }}' as sku_field,
            cast({{ is_distributor(e) }} as boolean) as is_distributor
        from {{ ref("stg_morton__scopes") }}
        where declared_as = '{{ e.vendor }}' and endpoint = '{{ e.endpoint }}'
    {% else %}
        select
            '{{ e.vendor }}' as vendor,
            '{{ e.endpoint }}' as endpoint,
            '{{ e.counts }}' as counts,
            '{{ e.sku }}' as sku_field,
            cast({{ is_distributor(e) }} as boolean) as is_distributor
    {% endif %}
    {% if not loop.last %}
        union all
    {% endif %}
{% endfor %}
