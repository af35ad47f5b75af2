with versions as ({{ known_versions(source("datto_bcdr", "devices")) }})

select
    connection_id,
    tenant_id,
    record_key,
    serial_number,
    -- An appliance nobody assigned to a client is a company of its own: it can be mapped, and it cannot get lost.
    coalesce(organization_id, nullif(client_company_name, ''), 'appliance:' || serial_number) as company_id,
    coalesce(nullif(organization_name, ''), nullif(client_company_name, ''), name, serial_number) as company_name,
    name as device_name,
    model,
    reseller_company_name,
    agent_count as agents_quantity,
    share_count as shares_quantity,
    lower(hidden) = 'true' as is_hidden,
    lower(child_reseller) = 'true' as is_child_reseller,
    valid_from,
    known_valid_to as valid_to

from versions
