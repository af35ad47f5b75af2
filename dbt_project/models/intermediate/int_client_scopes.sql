-- Which scopes feed the count of a service for a client, through the companies mapped to the client.
with

    endpoints as (
        select distinct vendor, endpoint, names as service_id from {{ ref("int_patterns") }} where purpose = 'service'
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
