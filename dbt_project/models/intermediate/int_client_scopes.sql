-- Which scopes feed the count of a service for a client, through the companies mapped to the client.
with

    endpoints as (
        select distinct patterns.vendor, patterns.endpoint, services.service_id
        from {{ ref("int_patterns") }} as patterns
        inner join {{ ref("int_services") }} as services on services.counted_as = patterns.names
        where patterns.purpose = 'service'
    )

select
    lists.client_id,
    endpoints.service_id,
    lists.vendor,
    lists.connection_id,
    lists.endpoint,
    lists.tenant_id,
    lists.allowed_age_minutes,
    lists.state,
    lists.last_complete_at,
    lists.time_zone,
    lists.effective_from,
    lists.effective_to
from {{ ref("int_client_lists") }} as lists
inner join endpoints on endpoints.vendor = lists.vendor and endpoints.endpoint = lists.endpoint
inner join {{ ref("int_services") }} as services on services.service_id = endpoints.service_id
left join
    (select distinct client_id, service_id from {{ ref("int_contract_versions") }}) as agreed
    on agreed.client_id = lists.client_id
    and agreed.service_id = endpoints.service_id
-- What only counts as a part of it, a bundle has where somebody bought it.
where not services.is_counted_by_component or agreed.service_id is not null
