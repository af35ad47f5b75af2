-- How far the lists behind a client's service can be trusted: those it is counted in, bought from and assigned in.
with

    agreed as (
        select contracts.client_id, contracts.service_id, contracts.count_vendor
        from {{ ref("int_contract_versions") }} as contracts
        inner join {{ ref("int_clients") }} as clients on clients.client_id = contracts.client_id
        where contracts.effective_from <= clients.today_on and contracts.effective_to > clients.today_on
    ),

    lists as (
        select
            scopes.client_id,
            scopes.service_id,
            'counted' as part,
            scopes.vendor,
            scopes.state,
            scopes.last_complete_at,
            {{ dbt.dateadd("minute", "scopes.allowed_age_minutes", "scopes.last_complete_at") }} as fresh_until_at
        from {{ ref("int_client_scopes") }} as scopes
        inner join {{ ref("int_clients") }} as clients on clients.client_id = scopes.client_id
        inner join {{ ref("int_services") }} as services on services.service_id = scopes.service_id
        left join agreed on agreed.client_id = scopes.client_id and agreed.service_id = scopes.service_id
        where
            scopes.vendor = coalesce(agreed.count_vendor, services.count_vendor)
            and scopes.effective_from <= clients.today_on
            and scopes.effective_to > clients.today_on
        union all
        select client_id, service_id, counts as part, vendor, state, last_complete_at, fresh_until_at
        from {{ ref("int_licence_lists") }}
    ),

    parts as (
        select client_id, service_id, part, {{ combined_state("state", "last_complete_at") }} as state
        from lists
        group by client_id, service_id, part
    ),

    wholes as (
        select
            client_id,
            service_id,
            {{ combined_state("state", "last_complete_at") }} as source_state,
            min(last_complete_at) as source_as_of_at,
            min(fresh_until_at) as fresh_until_at
        from lists
        group by client_id, service_id
    )

select
    wholes.client_id,
    wholes.service_id,
    wholes.source_state,
    wholes.source_as_of_at,
    wholes.fresh_until_at,
    max(case when parts.part = 'counted' then parts.state end) as counted_state,
    max(case when parts.part = 'purchased' then parts.state end) as purchased_state,
    max(case when parts.part = 'assigned' then parts.state end) as assigned_state
from wholes
inner join parts on parts.client_id = wholes.client_id and parts.service_id = wholes.service_id
group by wholes.client_id, wholes.service_id, wholes.source_state, wholes.source_as_of_at, wholes.fresh_until_at
