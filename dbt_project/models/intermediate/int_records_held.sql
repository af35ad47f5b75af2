{{ config(materialized="view") }}
-- The records as they are classified, and beside them what people hold only within another SKU. A licence of something
-- its holder has within another one as well is redundant, and marked so.
with

    redundant as (
        select records.vendor, records.record_path, records.start_on, min(within.sku) as contained_in
        from {{ ref("int_skus_within") }} as within
        inner join
            {{ ref("int_records_classified") }} as records
            on records.vendor = within.vendor
            and records.person_key = within.person_key
            and records.client_id = within.client_id
            and lower(records.sku) = within.included_sku
            -- Until the end of this stretch: a licence is not redundant for what its holder has lost since.
            and within.start_on < records.end_on
            and within.end_on >= records.end_on
        group by records.vendor, records.record_path, records.start_on
    )

    {% set shared -%}
        endpoint, is_primary, connection_id, tenant_id, company_id, client_id, client_status, service_id,
        service_pattern_key, record_id, record_name, person_key, sku, sku_name, unit_count, unit, is_current, standing_on,
        end_on
    {%- endset %}

select
    records.vendor,
    records.record_path,
    records.start_on,
    {{ shared }},
    records.allocation_reason,
    records.service_reason,
    records.rule_name,
    records.rule_pattern_key,
    records.state_reason,
    case
        when redundant.contained_in is null
        then records.mark
        else concat_ws(', ', 'redundant: included in ' || redundant.contained_in, records.mark)
    end as mark,
    redundant.contained_in is not null as is_redundant,
    false as is_within
from {{ ref("int_records_classified") }} as records
left join
    redundant
    on redundant.vendor = records.vendor
    and redundant.record_path = records.record_path
    and redundant.start_on = records.start_on
union all
select
    vendor,
    record_path,
    start_on,
    {{ shared }},
    cast(null as {{ dbt.type_string() }}) as allocation_reason,
    cast(null as {{ dbt.type_string() }}) as service_reason,
    cast(null as {{ dbt.type_string() }}) as rule_name,
    cast(null as {{ dbt.type_string() }}) as rule_pattern_key,
    cast(null as {{ dbt.type_string() }}) as state_reason,
    mark,
    false as is_redundant,
    true as is_within
from {{ ref("int_records_within") }}
