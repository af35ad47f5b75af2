{{ config(materialized="view") }}
{% for e in countable_endpoints() %}
    select
        {{ vendor_of(e) }} as vendor,
        '{{ e.endpoint }}' as endpoint,
        {{ e.is_primary }} as is_primary,
        connection_id || '|' || tenant_id || '|{{ e.endpoint }}|' || record_key as record_path,
        connection_id,
        tenant_id,
        lower(company_id) as company_id,
        record_id,
        record_name,
        case
            when person_key <> record_key then connection_id || '|' || tenant_id || '|' || person_key
        end as person_key,
        {{ class_text(e, "records", "patterned") }} as class_text,
        sku,
        coalesce(skus.product_name, sku_name) as sku_name,
        mark,
        case when skus.is_free_or_trial then 'free_or_trial_sku' end as reference_rule,
        cast(unit_count as decimal(18, 4)) as unit_count,
        unit,
        valid_from,
        valid_to
    from {{ ref("stg_" ~ e.vendor ~ "__" ~ e.endpoint) }} as records
    cross join {{ fields_with_patterns(e) }} as patterned
    left join
        {{ ref("microsoft_skus") }} as skus
        on '{{ e.vendor }}' = 'microsoft365'
        and lower(skus.sku_part_number) = lower(records.sku)
    where {{ is_connected() }}
    {% if not loop.last %}
        union all
    {% endif %}
{% endfor %}
