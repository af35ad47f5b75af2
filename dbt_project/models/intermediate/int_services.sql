-- Services with the vendor that counts them where only one could, and the service whose records are counted for them.
with

    mapped as (
        select names as service_id, min(vendor) as vendor, count(distinct vendor) as vendor_count
        from {{ ref("int_patterns") }}
        where purpose = 'service'
        group by names
    ),

    counters as (select bundle_service_id, component_service_id from {{ ref("int_bundles") }} where is_counter)

select
    services.service_id,
    services.service_name,
    services.category,
    services.unit,
    services.list_price,
    services.unit_cost,
    services.accounting_item_id,
    coalesce(counters.component_service_id, services.service_id) as counted_as,
    coalesce(counters.component_service_id, services.service_id) <> services.service_id as is_counted_by_component,
    coalesce(
        lower(services.count_vendor),
        lower(components.count_vendor),
        case when mapped.vendor_count = 1 then mapped.vendor end
    ) as count_vendor
from {{ ref("services") }} as services
left join counters on counters.bundle_service_id = services.service_id
left join {{ ref("services") }} as components on components.service_id = counters.component_service_id
left join mapped on mapped.service_id = coalesce(counters.component_service_id, services.service_id)
