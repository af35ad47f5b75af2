-- The customer as each vendor knows it, by name.
with

named as (
    select connection_id, lower(company_id) as company_id, company_name from {{ ref('stg_ninjaone__organizations') }}
    where valid_to is null
    union all
    select connection_id, lower(company_id) as company_id, company_name from {{ ref('stg_huntress__organizations') }}
    where valid_to is null
    union all
    select distinct connection_id, lower(tenant_id) as company_id, tenant_name as company_name
    from {{ ref('stg_morton__scopes') }}
    where tenant_id <> '' and tenant_name <> ''
)

select
    connection_id,
    company_id,
    max(company_name) as company_name
from named
group by connection_id, company_id
