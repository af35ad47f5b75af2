-- The records behind every finding, and what changed since the last day on which count and contract agreed. Those of
-- closed months are in stg_morton__closed_evidence.
with

    -- On average and day by day, whatever stood on any of the days is behind the number, with its share of them.
    windows as (
        select
            findings.discrepancy_id,
            findings.client_id,
            findings.vendor as count_vendor,
            findings.measured_on,
            findings.began_on,
            findings.has_agreed_set,
            findings.service_id,
            findings.is_estimate,
            services.counted_as as counted_service_id,
            variances.divisor,
            coalesce(variances.counted_from, findings.measured_on) as counted_from,
            case
                when findings.billing_model = 'included' or variances.covered_quantity is not null
                then
                    coalesce(case when findings.billing_model = 'included' then findings.included_quantity end, 0)
                    + coalesce(variances.covered_quantity, 0)
            end as included_quantity
        from {{ ref("int_findings_unioned") }} as findings
        inner join {{ ref("int_services") }} as services on services.service_id = findings.service_id
        left join
            {{ ref("int_usage_variances") }} as variances
            on variances.client_id = findings.client_id
            and variances.service_id = findings.service_id
            and variances.period_month = findings.period_month
            and variances.kind = findings.kind
        where findings.kind in ('under_billed', 'over_billed', 'no_contract', 'no_usage', 'coverage_gap')
    ),

    usage as (
        select
            windows.discrepancy_id,
            windows.count_vendor,
            windows.included_quantity,
            windows.measured_on,
            windows.has_agreed_set,
            windows.divisor,
            spells.*,
            spells.spell_from <= windows.measured_on and spells.spell_to > windows.counted_from as is_now,
            spells.spell_from < windows.began_on and spells.spell_to >= windows.began_on as is_agreed,
            {{
                dbt.datediff(
                    "case when spells.spell_from > windows.counted_from then spells.spell_from else windows.counted_from end",
                    "case when spells.spell_to > windows.measured_on then "
                    ~ plus_days(1, "windows.measured_on")
                    ~ " else spells.spell_to end",
                    "day",
                )
            }}
            as day_count
        from windows
        inner join
            {{ ref("int_spells") }} as spells
            on spells.client_id = windows.client_id
            and spells.service_id = windows.counted_service_id
        where
            spells.spell_from <= windows.measured_on
            and spells.spell_to
            >= case when windows.began_on < windows.counted_from then windows.began_on else windows.counted_from end
            and spells.standing in ('counted', 'excluded', 'unknown_state')
    ),

    -- Days between two contracts have no part in what is counted under them.
    uncovered as (
        select
            usage.discrepancy_id,
            usage.record_path,
            usage.spell_from,
            sum(
                {{
                    dbt.datediff(
                        "case when usage.spell_from > positions.position_from then usage.spell_from else positions.position_from end",
                        "case when usage.spell_to < positions.position_to then usage.spell_to else positions.position_to end",
                        "day",
                    )
                }}
            ) as day_count
        from windows
        inner join
            {{ ref("int_positions") }} as positions
            on positions.client_id = windows.client_id
            and positions.service_id = windows.service_id
            and positions.position_from >= windows.counted_from
            and positions.position_from <= windows.measured_on
            and positions.contract_id is null
        inner join
            usage
            on usage.discrepancy_id = windows.discrepancy_id
            and usage.spell_from < positions.position_to
            and usage.spell_to > positions.position_from
        where windows.divisor is not null and not windows.is_estimate
        group by usage.discrepancy_id, usage.record_path, usage.spell_from
    ),

    shares as (
        select usage.*, usage.day_count - coalesce(uncovered.day_count, 0) as share_days
        from usage
        left join
            uncovered
            on uncovered.discrepancy_id = usage.discrepancy_id
            and uncovered.record_path = usage.record_path
            and uncovered.spell_from = usage.spell_from
    ),

    merged as (
        select
            discrepancy_id,
            record_path,
            max(count_vendor) as count_vendor,
            max(included_quantity) as included_quantity,
            max(case when has_agreed_set then 1 else 0 end) = 1 as has_agreed_set,
            max(vendor) as vendor,
            max(connection_id) as connection_id,
            max(record_id) as record_id,
            max(record_name) as record_name,
            max(case when is_now then mark end) as mark,
            coalesce(
                max(case when is_now and standing = 'counted' then standing end),
                max(case when is_now then standing end)
            ) as standing_now,
            max(case when is_agreed then standing end) as standing_agreed,
            max(case when is_now then standing_reason end) as standing_reason,
            coalesce(
                sum(case when is_now and standing = 'counted' then unit_count * share_days end) / max(divisor),
                max(case when is_now then unit_count end),
                max(unit_count)
            ) as quantity,
            max(case when is_now then service_pattern_key end) as service_pattern_key,
            min(stood_from) as first_seen_on,
            max(
                case when spell_to > measured_on then measured_on else {{ plus_days(-1, "spell_to") }} end
            ) as last_seen_on
        from shares
        group by discrepancy_id, record_path
    ),

    -- The first of them are included, where the contract includes any.
    included as (
        select
            discrepancy_id,
            record_path,
            included_quantity,
            sum(quantity) over (
                partition by discrepancy_id
                order by first_seen_on, record_path
                rows between unbounded preceding and current row
            ) as place
        from merged
        where included_quantity is not null and standing_now = 'counted' and vendor = count_vendor
    ),

    -- What happened to a record since count and contract last agreed, beyond that it came or went.
    told as (
        select
            windows.discrepancy_id,
            changes.vendor,
            case when sides.is_left then changes.from_record_path else changes.record_path end as record_path,
            case when sides.is_left then changes.note_where_it_left else changes.note end as note,
            row_number() over (
                partition by
                    windows.discrepancy_id,
                    changes.vendor,
                    case when sides.is_left then changes.from_record_path else changes.record_path end
                order by changes.changed_on desc, changes.change
            ) as place
        from windows
        cross join
            (
                select true as is_left
                union all
                select false as is_left
            ) as sides
        inner join
            {{ ref("int_record_changes") }} as changes
            on changes.client_id = windows.client_id
            and case when sides.is_left then changes.from_service_id else changes.service_id end
            = windows.counted_service_id
            and changes.changed_on <= windows.measured_on
            and changes.changed_on >= windows.began_on
        where changes.is_more_than_come_or_gone
    ),

    counted as (
        select
            merged.discrepancy_id,
            merged.vendor,
            connection_id,
            merged.record_path,
            record_id,
            record_name,
            quantity,
            case
                when coalesce(standing_now, standing_agreed) in ('excluded', 'unknown_state')
                then coalesce(standing_now, standing_agreed)
                when merged.vendor <> count_vendor
                then 'coverage_only'
                when included.place <= included.included_quantity
                then 'included'
                else 'billed'
            end as bucket,
            coalesce(
                standing_reason,
                case when merged.vendor <> count_vendor then 'counted at ' || count_vendor end,
                nullif(concat_ws(', ', told.note, mark), ''),
                case when standing_now is null then 'gone' end,
                ''
            ) as bucket_reason,
            first_seen_on,
            last_seen_on,
            coalesce(service_pattern_key, '') as service_pattern_key,
            case
                when coalesce(standing_now, '') = 'counted' and coalesce(standing_agreed, '') = 'counted'
                then 'kept'
                -- A variance as old as our first reading has no agreed
                -- set to compare with: nothing was added that we know of.
                when coalesce(standing_now, '') = 'counted' and not has_agreed_set
                then 'kept'
                when coalesce(standing_now, '') = 'counted'
                then 'added'
                when coalesce(standing_agreed, '') = 'counted'
                then 'removed'
                else 'kept'
            end as change
        from merged
        left join
            included on included.discrepancy_id = merged.discrepancy_id and included.record_path = merged.record_path
        left join
            told
            on told.discrepancy_id = merged.discrepancy_id
            and told.vendor = merged.vendor
            and told.record_path = merged.record_path
            and told.place = 1
        where standing_now is not null or standing_agreed is not null
    ),

    -- Joined in two ways and not by one condition with an or: that would compare every record with every finding.
    {% set ways = [
        "findings.kind = 'unmapped_company' and spells.client_id is null and findings.client_subject = spells.connection_id || '/' || spells.company_id",
        "findings.kind = 'unmapped_sku' and spells.client_id = findings.client_id and findings.service_subject = spells.vendor || '/' || spells.sku",
    ] %}
    unmapped as (
        {% for way in ways %}
            select
                findings.discrepancy_id,
                spells.vendor,
                spells.connection_id,
                spells.record_path,
                spells.record_id,
                spells.record_name,
                spells.unit_count as quantity,
                spells.standing as bucket,
                spells.standing_reason as bucket_reason,
                spells.stood_from as first_seen_on,
                findings.measured_on as last_seen_on,
                coalesce(spells.service_pattern_key, '') as service_pattern_key,
                case when spells.stood_from >= findings.period_month then 'added' else 'kept' end as change
            from {{ ref("int_findings_unioned") }} as findings
            inner join {{ ref("int_spells") }} as spells on {{ way }}
            where spells.standing in ('unmapped', 'unknown_state') and spells.is_current
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    invoiced as (
        select
            findings.discrepancy_id,
            lines.vendor,
            lines.connection_id,
            lines.accounting_id || '/' || lines.line_id as record_path,
            lines.accounting_id || '/' || lines.line_id as record_id,
            coalesce(lines.description, 'line ' || lines.line_id) as record_name,
            cast(lines.quantity as decimal(18, 4)) as quantity,
            'billed' as bucket,
            'invoice ' || coalesce(lines.doc_number, lines.accounting_id) as bucket_reason,
            lines.invoiced_on as first_seen_on,
            lines.invoiced_on as last_seen_on,
            cast(lines.quantity as {{ dbt.type_string() }})
            || ' at '
            || cast(lines.amount as {{ dbt.type_string() }}) as service_pattern_key,
            'kept' as change
        from {{ ref("int_findings_unioned") }} as findings
        inner join
            {{ ref("int_invoiced_quantities") }} as lines
            on lines.client_id = findings.client_id
            and lines.service_id = findings.service_id
            and lines.period_month = findings.period_month
            and not lines.is_ours
        where findings.kind = 'invoice_mismatch'
    ),

    below_cost as (
        select
            findings.discrepancy_id,
            records.vendor,
            records.connection_id,
            records.record_path,
            records.record_id,
            records.record_name,
            records.quantity,
            records.bucket,
            records.bucket_reason,
            records.first_seen_on,
            findings.measured_on as last_seen_on,
            '' as service_pattern_key,
            'kept' as change
        from {{ ref("int_findings_unioned") }} as findings
        inner join
            {{ ref("int_below_cost_records") }} as records
            on records.client_id = findings.client_id
            and records.service_id = findings.service_id
        where findings.kind = 'below_cost'
    )

select *
from counted
union all
select *
from unmapped
union all
select *
from invoiced
union all
select *
from below_cost
union all
select
    discrepancy_id,
    vendor,
    connection_id,
    record_path,
    record_id,
    record_name,
    quantity,
    bucket,
    bucket_reason,
    first_seen_on,
    last_seen_on,
    service_pattern_key,
    change
from {{ ref("int_correction_records") }}
