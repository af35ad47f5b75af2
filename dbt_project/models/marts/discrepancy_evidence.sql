{{ config(materialized="view") }}
-- Of a closed month there are the records it was closed with: many, and never others. No table of them all is made
-- before the copy people read.
with

    unioned as (
        select
            evidence.discrepancy_id,
            evidence.vendor,
            evidence.connection_id,
            evidence.record_id,
            evidence.record_path,
            evidence.record_name,
            evidence.quantity,
            evidence.bucket,
            evidence.bucket_reason,
            evidence.first_seen_on,
            evidence.last_seen_on,
            evidence.change,
            versions.extraction_id,
            versions.is_personal
        from {{ ref("int_evidence_unioned") }} as evidence
        left join
            {{ ref("int_evidence_versions") }} as versions
            on versions.discrepancy_id = evidence.discrepancy_id
            and versions.vendor = evidence.vendor
            and versions.record_path = evidence.record_path
        union all
        select
            closed.discrepancy_id,
            closed.vendor,
            closed.connection_id,
            closed.record_id,
            closed.record_path,
            closed.record_name,
            closed.quantity,
            closed.bucket,
            closed.bucket_reason,
            closed.first_seen_on,
            closed.last_seen_on,
            closed.change,
            closed.extraction_id,
            closed.is_personal
        from {{ ref("stg_morton__closed_evidence") }} as closed
        left join {{ ref("int_findings_unioned") }} as findings on findings.discrepancy_id = closed.discrepancy_id
        -- What this very build closes has its records above already.
        where findings.discrepancy_id is null
    )

select
    unioned.discrepancy_id,
    unioned.vendor,
    unioned.connection_id,
    unioned.record_id,
    unioned.record_path as record_key,
    unioned.record_name,
    cast(unioned.quantity as decimal(18, 4)) as quantity,
    case
        when rows_decided.status = 'written_off' and unioned.bucket = 'billed' and unioned.change = 'added'
        then 'written_off'
        else unioned.bucket
    end as bucket,
    unioned.bucket_reason,
    unioned.first_seen_on,
    unioned.last_seen_on,
    unioned.change,
    unioned.extraction_id,
    coalesce(unioned.is_personal, {{ may_be_personal("unioned.vendor") }}) as is_personal
from unioned
inner join
    (select discrepancy_id, status from {{ ref("discrepancies") }}) as rows_decided
    on rows_decided.discrepancy_id = unioned.discrepancy_id
