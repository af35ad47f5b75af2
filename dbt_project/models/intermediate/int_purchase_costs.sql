-- What the distributors charge us for each subscription that stands now.
select
    cast(null as {{ dbt.type_string() }}) as record_path,
    cast(null as decimal(18, 4)) as partner_cost,
    cast(null as {{ dbt.type_string() }}) as currency,
    cast(null as {{ dbt.type_string() }}) as billing_term,
    cast(null as date) as commitment_ends_on
where 1 = 0
{% for e in countable_endpoints() if is_distributor(e) %}
    union all
    select
        connection_id || '|' || tenant_id || '|{{ e.endpoint }}|' || record_key as record_path,
        cast(partner_cost as decimal(18, 4)) as partner_cost,
        upper(currency) as currency,
        billing_term,
        commitment_ends_on
    from {{ ref("stg_" ~ e.vendor ~ "__" ~ e.endpoint) }}
    where valid_to is null
{% endfor %}
