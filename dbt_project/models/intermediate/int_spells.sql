-- A spell is a stretch of days in which one record stood in one bucket. Exclusions cut a record's time into pieces.
with

    matches as (select * from {{ ref("int_exclusion_matches") }}),

    points as (
        select record_path, start_on, end_on, start_on as piece_from
        from matches
        union
        select record_path, start_on, end_on, piece_from
        from matches
        union
        select record_path, start_on, end_on, piece_to
        from matches
        where piece_to < end_on
    ),

    pieces as (
        select
            record_path,
            start_on,
            piece_from,
            coalesce(lead(piece_from) over (partition by record_path, start_on order by piece_from), end_on) as piece_to
        from points
    ),

    excluded as (
        select
            pieces.record_path,
            pieces.start_on,
            pieces.piece_from,
            pieces.piece_to,
            min(matches.exclusion_id) as exclusion_id
        from pieces
        left join
            matches
            on matches.record_path = pieces.record_path
            and matches.start_on = pieces.start_on
            and matches.piece_from <= pieces.piece_from
            and matches.piece_to >= pieces.piece_to
        group by pieces.record_path, pieces.start_on, pieces.piece_from, pieces.piece_to
    ),

    cut as (
        select
            records.*,
            excluded.exclusion_id,
            coalesce(excluded.piece_from, records.start_on) as spell_from,
            coalesce(excluded.piece_to, records.end_on) as spell_to
        from {{ ref("int_records_held") }} as records
        left join excluded on excluded.record_path = records.record_path and excluded.start_on = records.start_on
    ),

    -- A SKU is counted at one endpoint of its vendor, as bought or as assigned; the other endpoint's records only show.
    skus as (
        select distinct vendor, lower(sku) as sku from {{ ref("int_records_classified") }} where service_id is null
    ),

    counted_skus as (
        select
            skus.vendor,
            skus.sku,
            eras.era_from,
            eras.era_to,
            min(patterns.endpoint) as first_endpoint,
            max(patterns.endpoint) as last_endpoint
        from skus
        inner join
            {{ ref("int_patterns") }} as patterns
            on patterns.vendor = skus.vendor
            and patterns.purpose = 'service'
            and patterns.field = 'sku_part_number'
            and skus.sku like patterns.like_pattern escape '!'
        inner join
            {{ ref("int_eras") }} as eras
            on {{ is_in_force("eras.era_from", "patterns.effective_from", "patterns.effective_to") }}
        group by skus.vendor, skus.sku, eras.era_from, eras.era_to
    ),

    stood as (
        select
            cut.vendor,
            cut.endpoint,
            cut.record_path,
            cut.connection_id,
            cut.tenant_id,
            cut.company_id,
            cut.client_id,
            cut.allocation_reason,
            cut.service_id,
            -- What it stands on: the mapping that decided, and the exclusion with its terms.
            case
                when cut.exclusion_id is null
                then cut.service_pattern_key
                else coalesce(cut.service_pattern_key, '') || '>' || exclusions.exclusion_text
            end as service_pattern_key,
            cut.service_reason,
            cut.rule_name,
            cut.rule_pattern_key,
            cut.state_reason,
            cut.record_id,
            cut.record_name,
            cut.person_key,
            cut.sku,
            cut.sku_name,
            cut.mark,
            cut.is_redundant,
            cut.is_within,
            cut.unit_count,
            cut.unit,
            cut.exclusion_id,
            cut.spell_from,
            cut.spell_to,
            cut.is_current and cut.spell_from <= cut.standing_on and cut.spell_to > cut.standing_on as is_current,
            case
                when cut.rule_name is not null
                then 'excluded'
                when not cut.is_primary and cut.service_id is null and cut.service_reason is null
                then 'coverage_only'
                when cut.client_id is null
                then 'unmapped'
                when cut.client_status = 'internal'
                then 'internal'
                when cut.exclusion_id is not null
                then 'excluded'
                when cut.state_reason is not null
                then 'unknown_state'
                when cut.service_reason is not null
                then 'unmapped'
                when cut.service_id is null and counted_skus.sku is not null
                then 'coverage_only'
                when cut.service_id is null
                then 'unmapped'
                else 'counted'
            end as standing,
            case
                when cut.rule_name is not null
                then cut.rule_name
                when not cut.is_primary and cut.service_id is null and cut.service_reason is null
                then 'bought, shown for comparison'
                when cut.client_id is null
                then coalesce(cut.allocation_reason, 'company is mapped to no client')
                when cut.client_status = 'internal'
                then 'our own company'
                when cut.exclusion_id is not null
                then 'exclusion ' || cut.exclusion_id
                when cut.state_reason is not null
                then cut.state_reason
                when cut.service_reason is not null
                then cut.service_reason
                when cut.service_id is null and counted_skus.sku is not null
                then cut.sku || ' is counted at ' || counted_skus.first_endpoint
                when cut.service_id is null
                then cut.sku || ' is mapped to no service'
            end as standing_reason
        from cut
        left join {{ ref("int_exclusions_unioned") }} as exclusions on exclusions.exclusion_id = cut.exclusion_id
        left join
            counted_skus
            on cut.service_id is null
            and counted_skus.vendor = cut.vendor
            and counted_skus.sku = lower(cut.sku)
            and counted_skus.era_from <= cut.start_on
            and counted_skus.era_to > cut.start_on
            and (counted_skus.first_endpoint <> cut.endpoint or counted_skus.last_endpoint <> cut.endpoint)
    ),

    -- A new version of a record, or a new stretch of mappings, that leaves it where it stood does
    -- not begin anything. Most records have one spell without an end, and nothing to look back at.
    ended as (select distinct vendor, record_path from stood where spell_to < cast('9999-12-31' as date)),

    turned as (
        select
            stood.vendor,
            stood.record_path,
            stood.spell_from,
            case
                when
                    lag(stood.spell_to) over (partition by stood.vendor, stood.record_path order by stood.spell_from)
                    = stood.spell_from
                    and lag(stood.standing) over (
                        partition by stood.vendor, stood.record_path order by stood.spell_from
                    )
                    = stood.standing
                    and lag(coalesce(stood.client_id, '')) over (
                        partition by stood.vendor, stood.record_path order by stood.spell_from
                    )
                    = coalesce(stood.client_id, '')
                    and lag(coalesce(stood.service_id, '')) over (
                        partition by stood.vendor, stood.record_path order by stood.spell_from
                    )
                    = coalesce(stood.service_id, '')
                then 0
                else 1
            end as is_turn
        from stood
        inner join ended on ended.vendor = stood.vendor and ended.record_path = stood.record_path
    ),

    stretched as (
        select
            *,
            sum(is_turn) over (
                partition by vendor, record_path order by spell_from rows between unbounded preceding and current row
            ) as stretch
        from turned
    ),

    begun as (
        select
            vendor,
            record_path,
            spell_from,
            min(spell_from) over (partition by vendor, record_path, stretch) as stood_from
        from stretched
    )

select stood.*, coalesce(begun.stood_from, stood.spell_from) as stood_from
from stood
left join
    begun
    on begun.vendor = stood.vendor
    and begun.record_path = stood.record_path
    and begun.spell_from = stood.spell_from
