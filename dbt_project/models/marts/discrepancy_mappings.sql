-- A closed month was counted by the mappings it was closed with.
{% set columns = "discrepancy_id, mapping, vendor, connection_id, company_id, company_name, endpoint, field, pattern, maps_to, effective_from, effective_to" %}
with

    unioned as (
        select {{ columns }}
        from {{ ref("int_finding_mappings") }}
        union all
        select {{ columns }}
        from {{ ref("stg_morton__closed_mappings") }}
    )

select unioned.*, {{ vendor_title("unioned.vendor") }} as vendor_title
from unioned
inner join {{ ref("discrepancies") }} as rows_decided on rows_decided.discrepancy_id = unioned.discrepancy_id
