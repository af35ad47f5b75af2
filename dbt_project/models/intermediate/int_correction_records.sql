-- The records a corrected month is counted by now, and which of them were not, or no more are, since it was closed.
with

    present as (
        select
            corrections.discrepancy_id,
            spells.vendor,
            spells.connection_id,
            spells.record_path,
            spells.record_id,
            spells.record_name,
            spells.unit_count as quantity,
            spells.standing,
            coalesce(spells.standing_reason, spells.mark, '') as bucket_reason,
            spells.stood_from as first_seen_on,
            corrections.measured_on as last_seen_on,
            coalesce(spells.service_pattern_key, '') as service_pattern_key
        from {{ ref("int_corrections") }} as corrections
        inner join
            {{ ref("int_spells") }} as spells
            on spells.client_id = corrections.client_id
            and spells.service_id = corrections.service_id
            and spells.vendor = corrections.vendor
            and spells.spell_from <= corrections.measured_on
            and spells.spell_to > corrections.measured_on
        where spells.standing in ('counted', 'excluded', 'unknown_state')
    ),

    earlier as (
        select
            corrections.discrepancy_id,
            evidence.vendor,
            evidence.connection_id,
            evidence.record_path,
            evidence.record_id,
            evidence.record_name,
            evidence.quantity,
            evidence.first_seen_on,
            evidence.last_seen_on,
            evidence.service_pattern_key
        from {{ ref("int_corrections") }} as corrections
        inner join
            {{ ref("stg_morton__closed_findings") }} as findings
            on findings.client_id = corrections.client_id
            and findings.service_id = corrections.service_id
            and findings.period_month = corrections.corrects_month
            and findings.kind in {{ usage_kinds() }}
        inner join
            {{ ref("stg_morton__closed_evidence") }} as evidence on evidence.discrepancy_id = findings.discrepancy_id
        where evidence.bucket in ('billed', 'included') and evidence.change <> 'removed'
        union all
        select
            corrections.discrepancy_id,
            spells.vendor,
            spells.connection_id,
            spells.record_path,
            spells.record_id,
            spells.record_name,
            spells.unit_count as quantity,
            spells.stood_from as first_seen_on,
            {{ plus_days(-1, "spells.spell_to") }} as last_seen_on,
            coalesce(spells.service_pattern_key, '') as service_pattern_key
        from {{ ref("int_corrections") }} as corrections
        inner join
            {{ ref("int_spells") }} as spells
            on spells.client_id = corrections.client_id
            and spells.service_id = corrections.service_id
            and spells.vendor = corrections.vendor
            and spells.spell_from < corrections.run_began_on
            and spells.spell_to >= corrections.run_began_on
        where corrections.has_earlier_records and not corrections.has_closed_rows and spells.standing = 'counted'
    ),

    records as (
        select *, true as is_present, standing = 'counted' as is_counted, false as is_earlier
        from present
        union all
        select
            discrepancy_id,
            vendor,
            connection_id,
            record_path,
            record_id,
            record_name,
            quantity,
            cast(null as {{ dbt.type_string() }}) as standing,
            cast(null as {{ dbt.type_string() }}) as bucket_reason,
            first_seen_on,
            last_seen_on,
            service_pattern_key,
            false as is_present,
            false as is_counted,
            true as is_earlier
        from earlier
    ),

    merged as (
        select
            discrepancy_id,
            record_path,
            max(vendor) as vendor,
            max(connection_id) as connection_id,
            max(record_id) as record_id,
            coalesce(max(case when is_present then record_name end), max(record_name)) as record_name,
            coalesce(max(case when is_present then quantity end), max(quantity)) as quantity,
            max(standing) as standing,
            coalesce(max(bucket_reason), 'not counted any more') as bucket_reason,
            min(first_seen_on) as first_seen_on,
            coalesce(max(case when is_present then last_seen_on end), max(last_seen_on)) as last_seen_on,
            coalesce(max(case when is_present then service_pattern_key end), '') as service_pattern_key,
            max(case when is_counted then 1 else 0 end) = 1 as is_counted,
            max(case when is_earlier then 1 else 0 end) = 1 as is_earlier
        from records
        group by discrepancy_id, record_path
    )

select
    merged.discrepancy_id,
    merged.vendor,
    merged.connection_id,
    merged.record_path,
    merged.record_id,
    merged.record_name,
    merged.quantity,
    case when merged.standing in ('excluded', 'unknown_state') then merged.standing else 'billed' end as bucket,
    merged.bucket_reason,
    merged.first_seen_on,
    merged.last_seen_on,
    merged.service_pattern_key,
    case
        when merged.is_counted and not merged.is_earlier and corrections.has_earlier_records
        then 'added'
        when merged.is_earlier and not merged.is_counted
        then 'removed'
        else 'kept'
    end as change
from merged
inner join {{ ref("int_corrections") }} as corrections on corrections.discrepancy_id = merged.discrepancy_id
