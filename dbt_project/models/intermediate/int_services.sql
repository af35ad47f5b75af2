-- Services with the vendor that counts them where only one could, and the endpoint it is counted at.
with

    mapped as (
        select names as service_id, min(vendor) as vendor, count(distinct vendor) as vendor_count
        from {{ ref("int_patterns") }}
        where purpose = 'service'
        group by names
    )

select
    services.service_id,
    services.service_name,
    services.category,
    services.unit,
    services.list_price,
    services.unit_cost,
    services.accounting_item_id,
    coalesce(lower(services.count_vendor), case when mapped.vendor_count = 1 then mapped.vendor end) as count_vendor
from {{ ref("services") }} as services
left join mapped on mapped.service_id = services.service_id
