{{ config(meta={"dagster": {"ref": {"name": "int_patterns"}}}) }}
-- A failing row is a mapping that another one contradicts, or repeats, on some day.
with

    mappings as (
        select
            'company_mappings.csv' as file,
            connection_id || '|' || lower(company_id) || '|' || coalesce(field || '|' || lower(pattern), '') as subject,
            effective_from,
            effective_to
        from {{ ref("company_mappings") }}
        union all
        select
            'service_mappings.csv' as file,
            lower(vendor || '|' || endpoint || '|' || field || '|' || pattern)
            || '|'
            || cast(coalesce(priority, 100) as {{ dbt.type_string() }}) as subject,
            effective_from,
            effective_to
        from {{ ref("service_mappings") }}
    ),

    following as (
        select
            *,
            lag(coalesce(effective_to, cast('9999-12-31' as date))) over (
                partition by file, subject order by coalesce(effective_from, cast('1900-01-01' as date))
            ) as earlier_ends_on
        from mappings
    )

select file, subject, earlier_ends_on, effective_from
from following
where coalesce(effective_from, cast('1900-01-01' as date)) < earlier_ends_on
