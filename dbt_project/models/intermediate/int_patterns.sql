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
    ),

    named as (
        select
            *,
            vendor
            || '|'
            || endpoint
            || '|'
            || field
            || '|'
            || pattern
            || '|'
            || purpose
            || '|'
            || names as pattern_name
        from unioned
    )

select
    *,
    {{ glob_to_like("pattern") }} as like_pattern,
    {{ is_literal("pattern") }} as is_literal,
    {{ specificity("pattern") }} as specificity,
    -- What an approval stands on: what maps to what, and after a > on which terms, where there are any.
    pattern_name || case
        when priority = 100 and effective_from is null and effective_to is null
        then ''
        else
            '>'
            || cast(priority as {{ dbt.type_string() }})
            || '|'
            || coalesce(cast(effective_from as {{ dbt.type_string() }}), '')
            || '|'
            || coalesce(cast(effective_to as {{ dbt.type_string() }}), '')
    end as pattern_key
from named
