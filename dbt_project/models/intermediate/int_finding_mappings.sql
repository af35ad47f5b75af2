-- The mappings by which the records behind every finding are the client's, and the service's.
with

    companies as (
        select distinct
            versions.discrepancy_id,
            versions.vendor,
            mappings.connection_id,
            mappings.company_id,
            mappings.company_name,
            mappings.field,
            mappings.pattern,
            mappings.client_id,
            mappings.effective_from,
            mappings.effective_to
        from {{ ref("int_evidence_versions") }} as versions
        inner join {{ ref("int_findings_unioned") }} as findings on findings.discrepancy_id = versions.discrepancy_id
        inner join
            {{ ref("company_mappings") }} as mappings
            on mappings.connection_id = versions.connection_id
            and lower(mappings.company_id) = versions.company_id
            and mappings.client_id = findings.client_id
            and {{ is_in_force("versions.last_seen_on", "mappings.effective_from", "mappings.effective_to") }}
        where versions.bucket <> 'coverage_only'
    ),

    services as (
        select distinct
            evidence.discrepancy_id,
            patterns.vendor,
            patterns.endpoint,
            patterns.field,
            patterns.pattern,
            patterns.names as service_id,
            patterns.effective_from,
            patterns.effective_to
        from {{ ref("int_evidence_unioned") }} as evidence
        inner join
            {{ ref("int_patterns") }} as patterns
            -- Also where an exclusion stands behind it.
            on patterns.pattern_name = {{ dbt.split_part("evidence.service_pattern_key", "'>'", 1) }}
            and patterns.purpose = 'service'
            and {{ is_in_force("evidence.last_seen_on", "patterns.effective_from", "patterns.effective_to") }}
        where evidence.bucket <> 'coverage_only'
    )

select
    discrepancy_id,
    'company' as mapping,
    vendor,
    connection_id,
    company_id,
    company_name,
    cast(null as {{ dbt.type_string() }}) as endpoint,
    field,
    pattern,
    client_id as maps_to,
    effective_from,
    effective_to
from companies
union all
select
    discrepancy_id,
    'service' as mapping,
    vendor,
    cast(null as {{ dbt.type_string() }}) as connection_id,
    cast(null as {{ dbt.type_string() }}) as company_id,
    cast(null as {{ dbt.type_string() }}) as company_name,
    endpoint,
    field,
    pattern,
    service_id as maps_to,
    effective_from,
    effective_to
from services
