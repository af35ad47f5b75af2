-- A spell is a stretch of days in which one record stood in one bucket. Exclusions cut a record's time into pieces.
with

matches as (
    select
        records.record_path,
        records.start_on,
        exclusions.exclusion_id,
        case when exclusions.effective_from > records.start_on then exclusions.effective_from else records.start_on end as piece_from,
        case when exclusions.expires_on < records.end_on then exclusions.expires_on else records.end_on end as piece_to,
        records.end_on
    from {{ ref('int_records_classified') }} as records
    inner join {{ ref('int_exclusions_unioned') }} as exclusions
        on
            (exclusions.client_id is null or exclusions.client_id = records.client_id)
            and (exclusions.service_id is null or exclusions.service_id = records.service_id)
            and (exclusions.vendor is null or exclusions.vendor = records.vendor)
            and (exclusions.record_id is null or lower(exclusions.record_id) = lower(records.record_id))
            and (exclusions.name_like is null or lower(records.record_name) like exclusions.name_like escape '!')
            and exclusions.effective_from < records.end_on
            and exclusions.expires_on > records.start_on
    where exclusions.record_id is not null or exclusions.name_like is not null
),

points as (
    select record_path, start_on, end_on, start_on as piece_from from matches
    union
    select record_path, start_on, end_on, piece_from from matches
    union
    select record_path, start_on, end_on, piece_to from matches where piece_to < end_on
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
    left join matches
        on
            matches.record_path = pieces.record_path
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
    from {{ ref('int_records_classified') }} as records
    left join excluded
        on excluded.record_path = records.record_path and excluded.start_on = records.start_on
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
        cut.service_id,
        cut.service_pattern_key,
        cut.record_id,
        cut.record_name,
        cut.person_key,
        cut.sku,
        cut.sku_name,
        cut.mark,
        cut.unit_count,
        cut.exclusion_id,
        cut.spell_from,
        cut.spell_to,
        cut.is_current and cut.spell_from <= coalesce(clients.today_on, today.today_on)
        and cut.spell_to > coalesce(clients.today_on, today.today_on) as is_current,
        case
            when cut.rule_name is not null then 'excluded'
            when not cut.is_primary and cut.service_id is null then 'coverage_only'
            when cut.client_id is null then 'unmapped'
            when cut.client_status = 'internal' then 'internal'
            when cut.exclusion_id is not null then 'excluded'
            when cut.service_id is null then 'unmapped'
            else 'counted'
        end as standing,
        case
            when cut.rule_name is not null then cut.rule_name
            when not cut.is_primary and cut.service_id is null then 'bought, shown for comparison'
            when cut.client_id is null then 'company is mapped to no client'
            when cut.client_status = 'internal' then 'our own company'
            when cut.exclusion_id is not null then 'exclusion ' || cut.exclusion_id
            when cut.service_id is null then cut.sku || ' is mapped to no service'
        end as standing_reason
    from cut
    left join {{ ref('int_clients') }} as clients on clients.client_id = cut.client_id
    cross join (select {{ local_date('as_of_at', "'UTC'") }} as today_on from {{ ref('stg_morton__clock') }}) as today
),

-- A new version of a record, or a new stretch of mappings, that leaves it where it stood does not begin anything.
turned as (
    select
        *,
        case
            when lag(spell_to) over (partition by vendor, record_path order by spell_from) = spell_from
                and lag(standing) over (partition by vendor, record_path order by spell_from) = standing
                and lag(coalesce(client_id, '')) over (partition by vendor, record_path order by spell_from) = coalesce(client_id, '')
                and lag(coalesce(service_id, '')) over (partition by vendor, record_path order by spell_from) = coalesce(service_id, '')
                then 0
            else 1
        end as is_turn
    from stood
),

stretched as (
    select
        *,
        sum(is_turn) over (
            partition by vendor, record_path order by spell_from rows between unbounded preceding and current row
        ) as stretch
    from turned
)

select
    *,
    min(spell_from) over (partition by vendor, record_path, stretch) as stood_from
from stretched
