-- Which SKU contains which, itself or through another: four deep, as the seeds are checked to be.
{% set depth = 4 %}
with

    contained_1 as (
        select distinct lower(vendor) as vendor, lower(sku) as sku, lower(included_sku) as included_sku
        from {{ ref("sku_includes") }}
    )
    {% for level in range(2, depth + 1) %}
        ,
        contained_{{ level }} as (
            select outer_skus.vendor, outer_skus.sku, inner_skus.included_sku
            from contained_{{ level - 1 }} as outer_skus
            inner join
                contained_1 as inner_skus
                on inner_skus.vendor = outer_skus.vendor
                and inner_skus.sku = outer_skus.included_sku
        )
    {% endfor %}

{% for level in range(1, depth + 1) %}
    select vendor, sku, included_sku
    from contained_{{ level }}
    {% if not loop.last %}
        union
    {% endif %}
{% endfor %}
