-- What a service sold below its cost is bought as; where nothing says that it is bought, what is counted.
select
    sold.client_id,
    sold.service_id,
    licences.vendor,
    licences.connection_id,
    licences.record_path,
    licences.record_id,
    licences.record_name,
    licences.quantity,
    case when licences.standing = 'counted' and sold.is_counted_there then 'billed' else 'coverage_only' end as bucket,
    coalesce('bought at ' || {{ say_money("costs.partner_cost", "costs.currency") }}, 'bought') as bucket_reason,
    licences.stood_from as first_seen_on
from {{ ref("int_below_cost_variances") }} as sold
inner join
    {{ ref("int_licences") }} as licences
    on licences.client_id = sold.client_id
    and licences.service_id = sold.service_id
    and licences.vendor = sold.vendor
    and licences.counts = 'purchased'
left join {{ ref("int_purchase_costs") }} as costs on costs.record_path = licences.record_path
where sold.basis = 'bought'
union all
select
    sold.client_id,
    sold.service_id,
    spells.vendor,
    spells.connection_id,
    spells.record_path,
    spells.record_id,
    spells.record_name,
    spells.unit_count as quantity,
    'billed' as bucket,
    coalesce(spells.mark, '') as bucket_reason,
    spells.stood_from as first_seen_on
from {{ ref("int_below_cost_variances") }} as sold
inner join
    {{ ref("int_spells") }} as spells
    on spells.client_id = sold.client_id
    and spells.service_id = sold.service_id
    and spells.vendor = sold.vendor
where
    sold.basis = 'counted'
    and spells.is_current
    and spells.standing = 'counted'
    -- What is held within another SKU costs nothing by itself.
    and not spells.is_within
