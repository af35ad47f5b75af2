with

    spells as (
        select
            spells.*,
            clients.client_name,
            cast(
                {{
                    dbt.date_trunc(
                        "month", "coalesce(clients.today_on, " ~ local_date("clock.as_of_at", "'UTC'") ~ ")"
                    )
                }} as date
            ) as period_month,
            case
                when spells.standing = 'excluded' and spells.rule_name is null then spells.exclusion_id
            end as applied_id
        from {{ ref("int_spells") }} as spells
        cross join {{ ref("stg_morton__clock") }} as clock
        left join {{ ref("int_clients") }} as clients on clients.client_id = spells.client_id
    ),

    -- What is excluded now, and what counts again since the day on which its exclusion ended, told for one period.
    listed as (
        select
            vendor,
            record_path,
            spell_from,
            applied_id as exclusion_id,
            stood_from as excluded_since_on,
            false as is_expired
        from spells
        where is_current and standing = 'excluded'
        union all
        select
            counted.vendor,
            counted.record_path,
            counted.spell_from,
            ended.applied_id as exclusion_id,
            ended.stood_from as excluded_since_on,
            true as is_expired
        from spells as counted
        inner join
            spells as ended
            on ended.vendor = counted.vendor
            and ended.record_path = counted.record_path
            and ended.spell_to = counted.stood_from
        inner join
            {{ ref("int_exclusions_unioned") }} as exclusions
            on exclusions.exclusion_id = ended.applied_id
            and exclusions.expires_on = ended.spell_to
        where counted.is_current and counted.standing <> 'excluded' and counted.stood_from >= counted.period_month
    ),

    -- A person is one unit of a service that is sold by the user.
    heads as (
        select
            spells.applied_id,
            spells.vendor,
            coalesce(
                case when services.unit = 'user' then services.service_id || '|' || spells.person_key end,
                spells.record_path
            ) as holder_key,
            max(
                case when services.unit = 'user' and spells.person_key is not null then 1 else spells.unit_count end
            ) as units
        from spells
        left join {{ ref("int_services") }} as services on services.service_id = spells.service_id
        where spells.is_current and spells.applied_id is not null
        group by
            spells.applied_id,
            spells.vendor,
            coalesce(
                case when services.unit = 'user' then services.service_id || '|' || spells.person_key end,
                spells.record_path
            )
    ),

    covered as (select applied_id, vendor, sum(units) as quantity from heads group by applied_id, vendor)

select
    spells.client_id,
    coalesce(spells.client_name, companies.company_name, spells.company_id) as client_name,
    spells.service_id,
    spells.vendor,
    spells.connection_id,
    spells.record_id,
    spells.record_name,
    cast(spells.unit_count as decimal(18, 4)) as quantity,
    coalesce(listed.exclusion_id, spells.rule_name) as rule,
    coalesce(
        exclusions.reason, rules.reason, case when listed.exclusion_id is null then 'It is given away or tried out.' end
    ) as reason,
    exclusions.owner,
    listed.excluded_since_on,
    case when exclusions.expires_on < cast('9999-12-31' as date) then exclusions.expires_on end as expires_on,
    listed.is_expired,
    not listed.is_expired and listed.excluded_since_on >= spells.period_month as is_new,
    cast(exclusions.max_quantity as decimal(18, 4)) as max_quantity,
    case
        when exclusions.max_quantity is not null then cast(coalesce(covered.quantity, 0) as decimal(18, 4))
    end as covered_quantity,
    spells.record_path as record_key
from listed
inner join
    spells
    on spells.vendor = listed.vendor
    and spells.record_path = listed.record_path
    and spells.spell_from = listed.spell_from
left join {{ ref("int_exclusions_unioned") }} as exclusions on exclusions.exclusion_id = listed.exclusion_id
left join
    (select pattern_key, max(reason) as reason from {{ ref("int_patterns") }} group by pattern_key) as rules
    on rules.pattern_key = spells.rule_pattern_key
left join covered on covered.applied_id = listed.exclusion_id and covered.vendor = spells.vendor
left join
    {{ ref("int_companies_unioned") }} as companies
    on companies.connection_id = spells.connection_id
    and companies.company_id = spells.company_id
