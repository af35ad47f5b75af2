-- Which lists of which tools speak of a client, through the companies mapped to it, and how fresh each is.
with

    -- An account that holds all clients says nothing of a company
    -- it never listed: that is a slip in the mapping, not a zero.
    listed as (
        select connection_id, company_id
        from {{ ref("int_companies_unioned") }}
        union
        select connection_id, company_id
        from {{ ref("int_records_unioned") }}
        where tenant_id = ''
    )

select distinct
    companies.client_id,
    scopes.vendor,
    scopes.connection_id,
    scopes.endpoint,
    scopes.tenant_id,
    scopes.allowed_age_minutes,
    scopes.state,
    scopes.last_complete_at,
    {{ dbt.dateadd("minute", "scopes.allowed_age_minutes", "scopes.last_complete_at") }} as fresh_until_at,
    clients.time_zone,
    coalesce(companies.effective_from, cast('1900-01-01' as date)) as effective_from,
    coalesce(companies.effective_to, cast('9999-12-31' as date)) as effective_to,
    {{ is_in_force("clients.today_on", "companies.effective_from", "companies.effective_to") }} as is_current
from {{ ref("company_mappings") }} as companies
inner join {{ ref("int_clients") }} as clients on clients.client_id = companies.client_id
inner join
    {{ ref("int_scope_states") }} as scopes
    on scopes.connection_id = companies.connection_id
    and (scopes.tenant_id = '' or lower(scopes.tenant_id) = lower(companies.company_id))
left join listed on listed.connection_id = companies.connection_id and listed.company_id = lower(companies.company_id)
where scopes.tenant_id <> '' or listed.company_id is not null
