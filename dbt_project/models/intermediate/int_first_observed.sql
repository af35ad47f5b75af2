-- The first day a client's service could be counted at a vendor; earlier days are left out, not zero.
select
    scopes.client_id,
    scopes.service_id,
    scopes.vendor,
    min(
        case when days.complete_on > scopes.effective_from then days.complete_on else scopes.effective_from end
    ) as first_observed_on
from {{ ref("int_client_scopes") }} as scopes
inner join
    {{ ref("int_complete_days") }} as days
    on days.connection_id = scopes.connection_id
    and days.endpoint = scopes.endpoint
    and days.tenant_id = scopes.tenant_id
    and days.time_zone = scopes.time_zone
where days.complete_on < scopes.effective_to
group by scopes.client_id, scopes.service_id, scopes.vendor
