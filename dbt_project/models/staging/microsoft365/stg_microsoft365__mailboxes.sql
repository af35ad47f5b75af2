with versions as ({{ known_versions(source("microsoft365", "mailboxes")) }})

select
    connection_id,
    tenant_id,
    record_key,
    user_id,
    tenant_id as company_id,
    user_purpose,
    status,
    valid_from,
    known_valid_to as valid_to

from versions
