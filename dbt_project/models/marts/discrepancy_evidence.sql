with rows_decided as (select discrepancy_id, status from {{ ref("discrepancies") }})

select
    evidence.discrepancy_id,
    evidence.vendor,
    evidence.connection_id,
    evidence.record_id,
    evidence.record_path as record_key,
    evidence.record_name,
    cast(evidence.quantity as decimal(18, 4)) as quantity,
    case
        when rows_decided.status = 'written_off' and evidence.bucket = 'billed' and evidence.change = 'added'
        then 'written_off'
        else evidence.bucket
    end as bucket,
    evidence.bucket_reason,
    evidence.first_seen_on,
    evidence.last_seen_on,
    evidence.change,
    versions.extraction_id,
    coalesce(versions.is_personal, {{ may_be_personal("evidence.vendor") }}) as is_personal
from {{ ref("int_evidence_unioned") }} as evidence
left join
    {{ ref("int_evidence_versions") }} as versions
    on versions.discrepancy_id = evidence.discrepancy_id
    and versions.vendor = evidence.vendor
    and versions.record_path = evidence.record_path
inner join rows_decided on rows_decided.discrepancy_id = evidence.discrepancy_id
