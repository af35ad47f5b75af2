-- What decides a record's class: the analysts' service mappings and the vendors' own rules, in one shape.
with

    mappings as (
        select
            lower(vendor) as vendor,
            endpoint,
            field,
            pattern,
            'service' as purpose,
            service_id as names,
            cast(null as {{ dbt.type_string() }}) as reason,
            coalesce(priority, 100) as priority,
            effective_from,
            effective_to
        from {{ ref("service_mappings") }}
    ),

    rules as (
        select
            vendor,
            endpoint,
            field,
            pattern,
            case when rule_name = '' then 'state' else 'rule' end as purpose,
            rule_name as names,
            reason,
            100 as priority,
            cast(null as date) as effective_from,
            cast(null as date) as effective_to
        from {{ ref("stg_morton__vendor_rules") }}
    ),

    -- Where a page lists the states that count, every value is looked at: one that nothing else fits is unknown.
    any_state as (
        select distinct
            vendor,
            endpoint,
            field,
            '*' as pattern,
            'any_state' as purpose,
            names,
            reason,
            priority,
            effective_from,
            effective_to
        from rules
        where purpose = 'state'
    ),

    unioned as (
        select *
        from mappings
        union all
        select *
        from rules
        union all
        select *
        from any_state
    )

select
    *,
    {{ glob_to_like("pattern") }} as like_pattern,
    pattern not like '%*%' and pattern not like '%?%' as is_literal,
    vendor || '|' || endpoint || '|' || field || '|' || pattern || '|' || purpose || '|' || names as pattern_key
from unioned
