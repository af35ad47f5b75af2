-- An exclusion is known from its decision on; its id is the decision's with a number.
select
    excluded.exclusion_id,
    excluded.discrepancy_id,
    excluded.client_id,
    excluded.service_id,
    excluded.vendor,
    excluded.record_id,
    excluded.reason,
    excluded.owner,
    cast(excluded.effective_from as date) as effective_from,
    cast(excluded.expires_on as date) as expires_on
from {{ source("ledger", "exclusions") }} as excluded
inner join
    {{ ref("stg_ledger__decisions") }} as decisions
    on decisions.discrepancy_id = excluded.discrepancy_id
    and decisions.action = 'exclude'
    and excluded.exclusion_id like decisions.decision_id || '-%'
