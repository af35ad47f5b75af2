-- Every record version, in each stretch of unchanged mappings: which client, which service, which rule.
with

records as (
    select
        records.*,
        eras.era_from,
        eras.era_to
    from {{ ref('int_records_unioned') }} as records
    cross join {{ ref('int_eras') }} as eras
),

ranked as (
    select
        matches.*,
        eras.era_from,
        row_number() over (
            partition by matches.record_path, matches.valid_from, eras.era_from, matches.purpose
            order by matches.priority, matches.pattern_key
        ) as place
    from {{ ref('int_pattern_matches') }} as matches
    inner join {{ ref('int_eras') }} as eras
        on {{ is_in_force('eras.era_from', 'matches.effective_from', 'matches.effective_to') }}
),

mapped as (
    select
        records.*,
        companies.client_id,
        clients.status as client_status,
        coalesce(clients.time_zone, 'UTC') as time_zone,
        services.names as service_id,
        services.pattern_key as service_pattern_key,
        rules.names as pattern_rule,
        -- A mapping that names the class outright wins over the vendor's rule about that class.
        services.names is not null
        and (services.is_literal or services.pattern = rules.pattern)
        and services.field = coalesce(rules.field, 'sku_part_number') as is_named_outright
    from records
    left join {{ ref('company_mappings') }} as companies
        on
            companies.connection_id = records.connection_id
            and lower(companies.company_id) = records.company_id
            and {{ is_in_force('records.era_from', 'companies.effective_from', 'companies.effective_to') }}
    left join {{ ref('int_clients') }} as clients on clients.client_id = companies.client_id
    left join ranked as services
        on
            services.record_path = records.record_path
            and services.valid_from = records.valid_from
            and services.era_from = records.era_from
            and services.purpose = 'service'
            and services.place = 1
    left join ranked as rules
        on
            rules.record_path = records.record_path
            and rules.valid_from = records.valid_from
            and rules.era_from = records.era_from
            and rules.purpose = 'rule'
            and rules.place = 1
),

dated as (
    select
        *,
        case when not is_named_outright then coalesce(pattern_rule, reference_rule) end as rule_name,
        {{ local_date('valid_from', 'time_zone') }} as version_from,
        coalesce({{ local_date('valid_to', 'time_zone') }}, cast('9999-12-31' as date)) as version_to,
        {{ local_date('clock.as_of_at', 'time_zone') }} as today_on
    from mapped
    cross join {{ ref('stg_morton__clock') }} as clock
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
