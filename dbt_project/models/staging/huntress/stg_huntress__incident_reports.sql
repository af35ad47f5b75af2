with versions as ({{ known_versions(source("huntress", "incident_reports")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id as incident_report_id,
    organization_id as company_id,
    agent_id,
    subject,
    status,
    severity,
    platform,
    {{ from_iso("sent_at") }} as sent_at,
    {{ from_iso("closed_at") }} as closed_at,
    valid_from,
    known_valid_to as valid_to

from versions
