-- Contract versions with their defaults filled in; exactly one is in force per client, service and day.
{% set said = [
    ("minimum_quantity", "minimum_quantity"),
    ("included_quantity", "included_quantity"),
    ("effective_from", "effective_from"),
    ("effective_to", "effective_to"),
] %}
{# What a version says only where somebody used it: the others read as they always have, and their seals hold. #}
{% set said_if_used = [
    (
        "count_basis",
        "case when lower(contracts.count_basis) <> 'period_end' then lower(contracts.count_basis) end",
    ),
    ("committed_quantity", "contracts.committed_quantity"),
    ("committed_until", "contracts.committed_until"),
    ("notice_days", "contracts.notice_days"),
    ("silent_days", "contracts.silent_days"),
    ("tiers", "tiers.tiers_text"),
    ("bundle", "bundled.bundle_text"),
] %}
with

    tiers as (
        select
            contract_id,
            {{
                dbt.listagg(
                    "cast(from_quantity as "
                    ~ dbt.type_string()
                    ~ ") || ' at ' || cast(unit_price as "
                    ~ dbt.type_string()
                    ~ ") || ' ' || method",
                    "', '",
                    "order by from_quantity",
                )
            }} as tiers_text
        from {{ ref("price_tiers") }}
        group by contract_id
    ),

    bundled as (
        select
            bundle_service_id,
            {{
                dbt.listagg(
                    "component_service_id || ' × ' || cast(quantity_per_unit as " ~ dbt.type_string() ~ ")",
                    "', '",
                    "order by component_service_id",
                )
            }} as bundle_text
        from {{ ref("int_bundles") }}
        group by bundle_service_id
    )

select
    contracts.contract_id,
    contracts.client_id,
    contracts.service_id,
    contracts.quantity,
    contracts.unit_price,
    contracts.billing_model,
    contracts.minimum_quantity,
    contracts.included_quantity,
    coalesce(contracts.tolerance_quantity, 0) as tolerance_quantity,
    coalesce(lower(contracts.count_basis), 'period_end') as count_basis,
    contracts.committed_quantity,
    coalesce(contracts.committed_until, cast('9999-12-31' as date)) as committed_until,
    coalesce(contracts.notice_days, 0) as notice_days,
    contracts.silent_days,
    coalesce(lower(contracts.count_vendor), services.count_vendor) as count_vendor,
    coalesce(contracts.effective_from, cast('1900-01-01' as date)) as effective_from,
    coalesce(contracts.effective_to, cast('9999-12-31' as date)) as effective_to,
    contracts.contract_id
    || '|'
    || cast(contracts.quantity as {{ dbt.type_string() }})
    || '|'
    || coalesce(cast(contracts.unit_price as {{ dbt.type_string() }}), '')
    || '|'
    || contracts.billing_model
    {%- for name, column in said %}
        || '|' || coalesce(cast(contracts.{{ column }} as {{ dbt.type_string() }}), '')
    {%- endfor %}
    {%- for name, value in said_if_used %}
        || coalesce('|{{ name }} ' || cast({{ value }} as {{ dbt.type_string() }}), '')
    {%- endfor %} as contract_text
from {{ ref("contracts") }} as contracts
left join {{ ref("int_services") }} as services on services.service_id = contracts.service_id
left join tiers on tiers.contract_id = contracts.contract_id
left join bundled on bundled.bundle_service_id = contracts.service_id
