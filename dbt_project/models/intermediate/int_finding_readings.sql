-- The readings behind every finding: those it was measured with, and those that brought or took away its records.
with

    -- What is approved stands on what was known then, whatever was read since.
    approved as (
        select discrepancy_id, decided_at from {{ ref("discrepancies") }} where status in ('approved', 'invoiced')
    ),

    findings as (
        select discrepancy_id, client_id, service_id, vendor, kind, measured_on from {{ ref("int_findings_unioned") }}
    ),

    -- The lists that were counted. What was invoiced is read from lists of whole companies, and for months that are
    -- over.
    lists as (
        select
            findings.discrepancy_id,
            scopes.connection_id,
            scopes.endpoint,
            scopes.tenant_id,
            scopes.time_zone,
            findings.measured_on
        from findings
        inner join
            {{ ref("int_client_scopes") }} as scopes
            on scopes.client_id = findings.client_id
            and scopes.service_id = findings.service_id
            and scopes.vendor = findings.vendor
            and scopes.effective_from <= findings.measured_on
            and scopes.effective_to > findings.measured_on
        where findings.kind in {{ usage_kinds() }} or findings.kind = 'correction'
        union all
        select
            findings.discrepancy_id,
            scopes.connection_id,
            scopes.endpoint,
            scopes.tenant_id,
            'UTC' as time_zone,
            cast('9999-12-31' as date) as measured_on
        from findings
        inner join
            {{ ref("stg_morton__scopes") }} as scopes
            on scopes.category = 'accounting'
            and scopes.is_connected
            and scopes.endpoint in {{ accounting_lists() }}
        where findings.kind = 'invoice_mismatch'
    ),

    dated as (
        select lists.*, coalesce(approved.decided_at, clock.as_of_at) as decided_at
        from lists
        cross join {{ ref("stg_morton__clock") }} as clock
        left join approved on approved.discrepancy_id = lists.discrepancy_id
    ),

    -- Once per list, day and instant, and not once per row: many rows were counted from one list.
    moments as (select distinct connection_id, endpoint, tenant_id, time_zone, measured_on, decided_at from dated),

    measured as (
        select
            moments.connection_id,
            moments.endpoint,
            moments.tenant_id,
            moments.time_zone,
            moments.measured_on,
            moments.decided_at,
            max(extractions.known_at) as known_at
        from moments
        inner join
            {{ ref("stg_morton__extractions") }} as extractions
            on extractions.connection_id = moments.connection_id
            and extractions.endpoint = moments.endpoint
            and extractions.tenant_id = moments.tenant_id
            and extractions.is_complete
            and extractions.known_at <= moments.decided_at
        left join
            {{ ref("int_reading_days") }} as days
            on days.connection_id = moments.connection_id
            and days.endpoint = moments.endpoint
            and days.tenant_id = moments.tenant_id
            and days.time_zone = moments.time_zone
            and days.known_at = extractions.known_at
        where
            coalesce(days.stands_for_on, {{ local_date("extractions.known_at", "moments.time_zone") }})
            <= moments.measured_on
        group by
            moments.connection_id,
            moments.endpoint,
            moments.tenant_id,
            moments.time_zone,
            moments.measured_on,
            moments.decided_at
    ),

    named as (
        select dated.discrepancy_id, extractions.extraction_id, 1 as is_measured, 0 as record_count
        from dated
        inner join
            measured
            on measured.connection_id = dated.connection_id
            and measured.endpoint = dated.endpoint
            and measured.tenant_id = dated.tenant_id
            and measured.time_zone = dated.time_zone
            and measured.measured_on = dated.measured_on
            and measured.decided_at = dated.decided_at
        inner join
            {{ ref("stg_morton__extractions") }} as extractions
            on extractions.connection_id = measured.connection_id
            and extractions.endpoint = measured.endpoint
            and extractions.tenant_id = measured.tenant_id
            and extractions.known_at = measured.known_at
            and extractions.is_complete
        union all
        select discrepancy_id, extraction_id, 0 as is_measured, 1 as record_count
        from {{ ref("int_evidence_versions") }}
        where extraction_id is not null and bucket <> 'coverage_only'
    )

select discrepancy_id, extraction_id, max(is_measured) = 1 as is_measurement, sum(record_count) as record_count
from named
group by discrepancy_id, extraction_id
