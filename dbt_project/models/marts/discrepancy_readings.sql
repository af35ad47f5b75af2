-- A closed month was counted from the readings it was closed with.
with

    readings as (
        select discrepancy_id, extraction_id, is_measurement, record_count
        from {{ ref("int_finding_readings") }}
        union all
        select discrepancy_id, extraction_id, is_measurement, record_count
        from {{ ref("stg_morton__closed_readings") }}
    )

select
    rows_decided.discrepancy_id,
    readings.extraction_id,
    scopes.vendor,
    {{ vendor_title("scopes.vendor") }} as vendor_title,
    extractions.connection_id,
    extractions.endpoint,
    extractions.tenant_id,
    extractions.attempted_at as read_at,
    extractions.stands_for_on,
    extractions.journal_sha256 as content_sha256,
    extractions.source_sha256,
    readings.is_measurement,
    cast(readings.record_count as bigint) as record_count
from readings
inner join {{ ref("discrepancies") }} as rows_decided on rows_decided.discrepancy_id = readings.discrepancy_id
inner join {{ ref("stg_morton__extractions") }} as extractions on extractions.extraction_id = readings.extraction_id
inner join
    {{ ref("stg_morton__scopes") }} as scopes
    on scopes.connection_id = extractions.connection_id
    and scopes.endpoint = extractions.endpoint
    and scopes.tenant_id = extractions.tenant_id
