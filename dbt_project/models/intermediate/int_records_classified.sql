-- Every record version, in each stretch of unchanged mappings: which client, which service, which rule.
with

    records as (
        select records.*, eras.era_from, eras.era_to
        from {{ ref("int_records_unioned") }} as records
        cross join {{ ref("int_eras") }} as eras
    ),

    ranked as (
        select
            matches.*,
            eras.era_from,
            row_number() over (
                partition by matches.vendor, matches.endpoint, matches.class_text, eras.era_from, matches.purpose
                order by matches.priority, matches.pattern_key
            ) as place
        from {{ ref("int_pattern_matches") }} as matches
        inner join
            {{ ref("int_eras") }} as eras
            on {{ is_in_force("eras.era_from", "matches.effective_from", "matches.effective_to") }}
    ),

    -- The pattern that decides, once per class of records and not once per record.
    decided as (
        select
            vendor,
            endpoint,
            class_text,
            era_from,
            max(case when purpose = 'service' then names end) as service_id,
            max(case when purpose = 'service' then pattern_key end) as service_pattern_key,
            max(case when purpose = 'service' then field end) as service_field,
            max(case when purpose = 'service' then pattern end) as service_pattern,
            max(case when purpose = 'service' and is_literal then 1 else 0 end) = 1 as is_literal,
            max(case when purpose = 'rule' then names end) as pattern_rule,
            max(case when purpose = 'rule' then field end) as rule_field,
            max(case when purpose = 'rule' then pattern end) as rule_pattern
        from ranked
        where place = 1
        group by vendor, endpoint, class_text, era_from
    ),

    mapped as (
        select
            records.*,
            companies.client_id,
            clients.status as client_status,
            coalesce(clients.time_zone, 'UTC') as time_zone,
            coalesce(clients.today_on, today.today_on) as today_on,
            decided.service_id,
            decided.service_pattern_key,
            decided.pattern_rule,
            -- A mapping that names the class outright wins over the vendor's rule about that class.
            decided.service_id is not null
            -- The class may come from the reference list, where there is no rule's pattern to compare with.
            and (decided.is_literal or coalesce(decided.service_pattern = decided.rule_pattern, false))
            and decided.service_field = coalesce(decided.rule_field, 'sku_part_number') as is_named_outright
        from records
        cross join
            (select {{ local_date("as_of_at", "'UTC'") }} as today_on from {{ ref("stg_morton__clock") }}) as today
        left join
            {{ ref("company_mappings") }} as companies
            on companies.connection_id = records.connection_id
            and lower(companies.company_id) = records.company_id
            and {{ is_in_force("records.era_from", "companies.effective_from", "companies.effective_to") }}
        left join {{ ref("int_clients") }} as clients on clients.client_id = companies.client_id
        left join
            decided
            on decided.vendor = records.vendor
            and decided.endpoint = records.endpoint
            and decided.class_text = records.class_text
            and decided.era_from = records.era_from
    ),

    dated as (
        select
            *,
            case
                when not coalesce(is_named_outright, false) then coalesce(pattern_rule, reference_rule)
            end as rule_name,
            {{ local_date("valid_from", "time_zone") }} as version_from,
            coalesce({{ local_date("valid_to", "time_zone") }}, cast('9999-12-31' as date)) as version_to
        from mapped
    )

select
    vendor,
    endpoint,
    is_primary,
    record_path,
    connection_id,
    tenant_id,
    company_id,
    client_id,
    client_status,
    service_id,
    service_pattern_key,
    rule_name,
    record_id,
    record_name,
    person_key,
    sku,
    sku_name,
    mark,
    unit_count,
    valid_to is null and era_from <= today_on and era_to > today_on as is_current,
    case when version_from > era_from then version_from else era_from end as start_on,
    case when version_to < era_to then version_to else era_to end as end_on
from dated
where
    case when version_from > era_from then version_from else era_from end
    < case when version_to < era_to then version_to else era_to end
