-- What is in each bundle, and which component counts one that no mapping names: the first.
with mapped as (select distinct names as service_id from {{ ref("int_patterns") }} where purpose = 'service')

select
    bundles.bundle_service_id,
    bundles.component_service_id,
    coalesce(bundles.quantity_per_unit, 1) as quantity_per_unit,
    mapped.service_id is null
    and row_number() over (partition by bundles.bundle_service_id order by bundles.place, bundles.component_service_id)
    = 1 as is_counter
from {{ ref("bundles") }} as bundles
left join mapped on mapped.service_id = bundles.bundle_service_id
