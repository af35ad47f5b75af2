-- Every record version, in each stretch of unchanged mappings: which client, service, rule or unknown state.
with

    records as (
        select records.*, eras.era_from, eras.era_to
        from {{ ref("int_records_unioned") }} as records
        cross join {{ ref("int_eras") }} as eras
    ),

    matches as (
        select matches.*, eras.era_from
        from {{ ref("int_pattern_matches") }} as matches
        inner join
            {{ ref("int_eras") }} as eras
            on {{ is_in_force("eras.era_from", "matches.effective_from", "matches.effective_to") }}
    ),

    -- The pattern that decides, once per class of records and not once per record: of one priority, the one that says
    -- most. Two columns may say as much as each other.
    service_patterns as (
        select
            matches.*,
            row_number() over (
                partition by vendor, endpoint, class_text, era_from order by priority, specificity desc, pattern_key
            ) as place,
            max(names) over (partition by vendor, endpoint, class_text, era_from, priority, specificity) as names_alike
        from matches
        where purpose = 'service'
    ),

    -- A mapping that names a class outright wins over the vendor's rule about that class, and over no other rule.
    rule_patterns as (
        select
            rules.*,
            row_number() over (
                partition by rules.vendor, rules.endpoint, rules.class_text, rules.era_from
                order by rules.priority, rules.pattern_key
            ) as place
        from matches as rules
        left join
            service_patterns as services
            on services.vendor = rules.vendor
            and services.endpoint = rules.endpoint
            and services.class_text = rules.class_text
            and services.era_from = rules.era_from
            and services.place = 1
            and services.field = rules.field
            and (services.is_literal or services.pattern = rules.pattern)
        where rules.purpose = 'rule' and services.pattern_key is null
    ),

    -- A value that is none of those the vendor's page knows, unless a mapping names it outright.
    unknown_states as (
        select
            states.vendor,
            states.endpoint,
            states.class_text,
            states.era_from,
            min(states.field || ' reads ' || states.value) as state_reason
        from matches as states
        left join
            matches as known
            on known.vendor = states.vendor
            and known.endpoint = states.endpoint
            and known.class_text = states.class_text
            and known.era_from = states.era_from
            and known.field = states.field
            and known.purpose in ('rule', 'state')
        left join
            service_patterns as services
            on services.vendor = states.vendor
            and services.endpoint = states.endpoint
            and services.class_text = states.class_text
            and services.era_from = states.era_from
            and services.place = 1
            and services.field = states.field
            and services.is_literal
        where states.purpose = 'any_state' and known.pattern_key is null and services.pattern_key is null
        group by states.vendor, states.endpoint, states.class_text, states.era_from
    ),

    classes as (select distinct vendor, endpoint, class_text, era_from from matches),

    decided as (
        select
            classes.*,
            case when services.names = services.names_alike then services.names end as service_id,
            case when services.names = services.names_alike then services.pattern_key end as service_pattern_key,
            case
                when services.names <> services.names_alike
                then 'mapped to ' || services.names || ' and to ' || services.names_alike || ' alike'
            end as tie_reason,
            -- The reference list is about part numbers, and has no pattern of its own to compare with.
            coalesce(services.is_literal and services.field = 'sku_part_number', false) as is_sku_named_outright,
            rules.names as pattern_rule,
            rules.pattern_key as rule_pattern_key,
            unknown_states.state_reason
        from classes
        left join
            service_patterns as services
            on services.vendor = classes.vendor
            and services.endpoint = classes.endpoint
            and services.class_text = classes.class_text
            and services.era_from = classes.era_from
            and services.place = 1
        left join
            rule_patterns as rules
            on rules.vendor = classes.vendor
            and rules.endpoint = classes.endpoint
            and rules.class_text = classes.class_text
            and rules.era_from = classes.era_from
            and rules.place = 1
        left join
            unknown_states
            on unknown_states.vendor = classes.vendor
            and unknown_states.endpoint = classes.endpoint
            and unknown_states.class_text = classes.class_text
            and unknown_states.era_from = classes.era_from
    ),

    -- Of the rows that a record of a shared company fits, the one that says most gives it to its client.
    fitting as (
        select
            allocations.*,
            eras.era_from,
            max(allocations.specificity) over (
                partition by allocations.record_path, allocations.valid_from, eras.era_from
            ) as most
        from {{ ref("int_allocations") }} as allocations
        inner join
            {{ ref("int_eras") }} as eras
            on {{ is_in_force("eras.era_from", "allocations.effective_from", "allocations.effective_to") }}
    ),

    allocated as (
        select record_path, valid_from, era_from, min(client_id) as client_id, max(client_id) as other_client_id
        from fitting
        where specificity = most
        group by record_path, valid_from, era_from
    ),

    shared as (
        select distinct companies.connection_id, lower(companies.company_id) as company_id, eras.era_from
        from {{ ref("company_mappings") }} as companies
        inner join
            {{ ref("int_eras") }} as eras
            on {{ is_in_force("eras.era_from", "companies.effective_from", "companies.effective_to") }}
        where companies.pattern is not null
    ),

    owned as (
        select
            records.*,
            case
                when shared.company_id is null
                then companies.client_id
                when allocated.client_id = allocated.other_client_id
                then allocated.client_id
            end as client_id,
            case
                when shared.company_id is null or allocated.client_id = allocated.other_client_id
                then null
                when allocated.client_id is null
                then 'unallocated'
                else
                    'unallocated: it could be of '
                    || allocated.client_id
                    || ' and of '
                    || allocated.other_client_id
                    || ' alike'
            end as allocation_reason
        from records
        left join
            shared
            on shared.connection_id = records.connection_id
            and shared.company_id = records.company_id
            and shared.era_from = records.era_from
        left join
            allocated
            on allocated.record_path = records.record_path
            and allocated.valid_from = records.valid_from
            and allocated.era_from = records.era_from
        left join
            {{ ref("company_mappings") }} as companies
            on companies.connection_id = records.connection_id
            and lower(companies.company_id) = records.company_id
            and companies.pattern is null
            and {{ is_in_force("records.era_from", "companies.effective_from", "companies.effective_to") }}
    ),

    mapped as (
        select
            records.*,
            clients.status as client_status,
            coalesce(clients.time_zone, 'UTC') as time_zone,
            coalesce(clients.today_on, today.today_on) as today_on,
            today.today_on as utc_today_on,
            -- Gigabytes are no devices: what is counted in another
            -- unit than the service is sold in never counts for it.
            case when {{ units_fit("records.unit", "services.unit") }} then decided.service_id end as service_id,
            case
                when decided.tie_reason is not null
                then decided.tie_reason
                when not {{ units_fit("records.unit", "services.unit") }}
                then
                    'counted in '
                    || {{ say_units("records.unit") }}
                    || ', and '
                    || services.service_name
                    || ' is sold by '
                    || services.unit
            end as service_reason,
            decided.service_pattern_key,
            decided.pattern_rule,
            decided.rule_pattern_key,
            decided.state_reason,
            decided.is_sku_named_outright
        from owned as records
        cross join
            (select {{ local_date("as_of_at", "'UTC'") }} as today_on from {{ ref("stg_morton__clock") }}) as today
        left join {{ ref("int_clients") }} as clients on clients.client_id = records.client_id
        left join
            decided
            on decided.vendor = records.vendor
            and decided.endpoint = records.endpoint
            and decided.class_text = records.class_text
            and decided.era_from = records.era_from
        left join {{ ref("int_services") }} as services on services.service_id = decided.service_id
    ),

    -- A version holds from the day that the reading which brought it stands for, to that of the one which closed it.
    dated as (
        select
            mapped.*,
            coalesce(
                pattern_rule, case when not coalesce(is_sku_named_outright, false) then reference_rule end
            ) as rule_name,
            coalesce(opened.stands_for_on, {{ local_date("mapped.valid_from", "mapped.time_zone") }}) as version_from,
            coalesce(
                closed.stands_for_on,
                {{ local_date("mapped.valid_to", "mapped.time_zone") }},
                cast('9999-12-31' as date)
            ) as version_to
        from mapped
        left join
            {{ ref("int_reading_days") }} as opened
            on opened.connection_id = mapped.connection_id
            and opened.endpoint = mapped.endpoint
            and opened.tenant_id = mapped.tenant_id
            and opened.time_zone = mapped.time_zone
            and opened.known_at = mapped.valid_from
        left join
            {{ ref("int_reading_days") }} as closed
            on closed.connection_id = mapped.connection_id
            and closed.endpoint = mapped.endpoint
            and closed.tenant_id = mapped.tenant_id
            and closed.time_zone = mapped.time_zone
            and closed.known_at = mapped.valid_to
    ),

    stretches as (
        select
            *,
            case when version_from > era_from then version_from else era_from end as start_on,
            case when version_to < era_to then version_to else era_to end as end_on
        from dated
        where
            case when version_from > era_from then version_from else era_from end
            < case when version_to < era_to then version_to else era_to end
    ),

    -- On a day a mapping turns, clients whose days begin at other hours may both claim a record, or neither: it stands
    -- where it last began to. On all other days there is nothing to choose.
    turning as (
        select
            vendor,
            record_path,
            start_on,
            row_number() over (
                partition by vendor, record_path
                order by
                    case when start_on <= today_on then 0 else 1 end,
                    case when start_on <= today_on then start_on end desc,
                    start_on
            ) as place
        from stretches
        where
            valid_to is null
            and end_on >= utc_today_on
            and exists (
                select 1
                from {{ ref("int_eras") }} as eras
                cross join
                    (
                        select {{ local_date("as_of_at", "'UTC'") }} as today_on from {{ ref("stg_morton__clock") }}
                    ) as today
                where eras.era_from >= today.today_on and eras.era_from <= {{ plus_days(1, "today.today_on") }}
            )
    )

select
    stretches.vendor,
    endpoint,
    is_primary,
    stretches.record_path,
    connection_id,
    tenant_id,
    company_id,
    client_id,
    client_status,
    allocation_reason,
    service_id,
    service_pattern_key,
    service_reason,
    rule_name,
    rule_pattern_key,
    state_reason,
    record_id,
    record_name,
    person_key,
    sku,
    sku_name,
    mark,
    unit_count,
    unit,
    valid_from,
    valid_to,
    case
        when valid_to is not null
        then false
        when turning.record_path is not null
        then turning.place = 1
        else era_from <= today_on and era_to > today_on
    end as is_current,
    -- The day that says how it stands now: today where its client is, as far as that lies within the stretch.
    case
        when today_on < stretches.start_on
        then stretches.start_on
        when today_on >= end_on
        then {{ plus_days(-1, "end_on") }}
        else today_on
    end as standing_on,
    stretches.start_on,
    end_on
from stretches
left join
    turning
    on turning.vendor = stretches.vendor
    and turning.record_path = stretches.record_path
    and turning.start_on = stretches.start_on
