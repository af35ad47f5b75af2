-- What the distributors charge us for each subscription that stands now.
select
    cast(null as {{ dbt.type_string() }}) as record_path,
    cast(null as decimal(18, 4)) as partner_cost,
    cast(null as {{ dbt.type_string() }}) as currency,
    cast(null as {{ dbt.type_string() }}) as billing_term,
    cast(null as date) as commitment_ends_on,
    cast(null as boolean) as requires_commitment
where 1 = 0
{% for e in countable_endpoints() if is_distributor(e) %}
    union all
    select
        bought.connection_id || '|' || bought.tenant_id || '|{{ e.endpoint }}|' || bought.record_key as record_path,
        cast(bought.partner_cost as decimal(18, 4)) as partner_cost,
        upper(bought.currency) as currency,
        bought.billing_term,
        bought.commitment_ends_on,
        products.requires_commitment
    from {{ ref("stg_" ~ e.vendor ~ "__" ~ e.endpoint) }} as bought
    left join
        {{ ref("stg_" ~ e.vendor ~ "__products") }} as products
        on products.connection_id = bought.connection_id
        and products.tenant_id = bought.tenant_id
        and products.product_id = bought.product_id
        and products.valid_to is null
    where bought.valid_to is null
{% endfor %}
