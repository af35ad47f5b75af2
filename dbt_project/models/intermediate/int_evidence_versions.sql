-- The last version of each record that stands for a finding, and the reading that brought it or took it away.
with

    versions as (
        select
            evidence.discrepancy_id,
            evidence.vendor,
            evidence.record_path,
            evidence.bucket,
            evidence.last_seen_on,
            records.connection_id,
            records.endpoint,
            records.tenant_id,
            records.company_id,
            {{ is_personal("records") }} as is_personal,
            -- What no longer counts may still be listed.
            case
                when evidence.change = 'removed' and records.end_on = {{ plus_days(1, "evidence.last_seen_on") }}
                then coalesce(records.valid_to, records.valid_from)
                else records.valid_from
            end as known_at,
            row_number() over (
                partition by evidence.discrepancy_id, evidence.vendor, evidence.record_path
                order by records.start_on desc, records.valid_from desc
            ) as place
        from {{ ref("int_evidence_unioned") }} as evidence
        inner join {{ ref("int_findings_unioned") }} as findings on findings.discrepancy_id = evidence.discrepancy_id
        inner join
            {{ ref("int_records_classified") }} as records
            on records.record_path = evidence.record_path
            and records.vendor = evidence.vendor
            and records.start_on <= evidence.last_seen_on
    ),

    -- A reading changes records when it is made; one that was held back, when it is accepted.
    readings as (
        select extraction_id, connection_id, endpoint, tenant_id, attempted_at as known_at
        from {{ ref("stg_morton__extractions") }}
        union
        select extraction_id, connection_id, endpoint, tenant_id, known_at
        from {{ ref("stg_morton__extractions") }}
    )

select
    versions.discrepancy_id,
    versions.vendor,
    versions.record_path,
    versions.bucket,
    versions.last_seen_on,
    versions.connection_id,
    versions.company_id,
    versions.is_personal,
    readings.extraction_id
from versions
left join
    readings
    on readings.connection_id = versions.connection_id
    and readings.endpoint = versions.endpoint
    and readings.tenant_id = versions.tenant_id
    and readings.known_at = versions.known_at
where versions.place = 1
