-- The customer as each vendor knows it or knew it, by the name it had last.
with

    named as (
        {% for c in var("companies") %}
            select connection_id, lower(company_id) as company_id, company_name, valid_from, valid_to
            from {{ ref("stg_" ~ c.vendor ~ "__" ~ c.endpoint) }}
            union all
        {% endfor %}
        select
            connection_id,
            lower(tenant_id) as company_id,
            tenant_name as company_name,
            cast(null as timestamp) as valid_from,
            cast(null as timestamp) as valid_to
        from {{ ref("stg_morton__scopes") }}
        where tenant_id <> '' and tenant_name <> ''
    ),

    ranked as (
        select
            *,
            row_number() over (
                partition by connection_id, company_id
                order by case when valid_to is null then 0 else 1 end, valid_from desc, company_name desc
            ) as place
        from named
    )

select connection_id, company_id, company_name
from ranked
where place = 1
