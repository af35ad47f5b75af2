-- The numbers of a client's service side by side in the open month: agreed, counted, bought, assigned, and charged to
-- us.
with

    agreed as (
        select contracts.*, periods.period_month, periods.last_on
        from {{ ref("int_contract_versions") }} as contracts
        inner join {{ ref("int_periods") }} as periods on periods.client_id = contracts.client_id and periods.is_open
        where contracts.effective_from <= periods.last_on and contracts.effective_to > periods.last_on
    ),

    observed as (
        select positions.client_id, positions.service_id, positions.vendor, positions.observed_quantity
        from {{ ref("int_positions") }} as positions
        inner join
            {{ ref("int_periods") }} as periods
            on periods.client_id = positions.client_id
            and periods.is_open
            and {{ stands_on("positions", "periods.last_on") }}
    ),

    charged as (
        select invoices.*
        from {{ ref("int_distributor_invoices") }} as invoices
        inner join
            {{ ref("int_periods") }} as periods
            on periods.client_id = invoices.client_id
            and periods.is_open
            and periods.period_month = invoices.period_month
    ),

    subjects as (
        select client_id, service_id
        from agreed
        union
        select client_id, service_id
        from observed
        where observed_quantity <> 0
        union
        select client_id, service_id
        from {{ ref("int_purchased_quantities") }}
        where quantity <> 0
        union
        select charged.client_id, charged.service_id
        from charged
    ),

    -- Who holds a service only within another SKU is counted, and nothing is paid for that by itself.
    within as (
        select client_id, service_id, vendor, sum(unit_count) as quantity
        from {{ ref("int_spells") }}
        where is_current and is_within and standing = 'counted'
        group by client_id, service_id, vendor
    ),

    -- What is suspended is held and cannot be used; who sold it may charge for it all the same.
    suspended as (
        select client_id, service_id, vendor, sum(unit_count) as quantity
        from {{ ref("int_spells") }}
        where is_current and standing = 'excluded' and standing_reason = 'suspended_sku'
        group by client_id, service_id, vendor
    ),

    -- A service that is counted where it is deployed is in use as often as it is counted.
    deployed as (
        select distinct patterns.names as service_id, patterns.vendor
        from {{ ref("int_patterns") }} as patterns
        inner join
            {{ ref("int_list_roles") }} as roles
            on roles.vendor = patterns.vendor
            and roles.endpoint = patterns.endpoint
            and roles.counts = 'deployed'
        where patterns.purpose = 'service'
    )

select
    periods.period_month,
    periods.last_on,
    subjects.client_id,
    clients.client_name,
    clients.currency,
    subjects.service_id,
    services.service_name,
    services.unit_cost as list_cost,
    money.main_currency,
    agreed.contract_id,
    agreed.contract_text,
    agreed.billing_model,
    coalesce(agreed.quantity, 0) as contracted_quantity,
    agreed.unit_price,
    coalesce(agreed.count_vendor, services.count_vendor) as count_vendor,
    observed.observed_quantity,
    cast(coalesce(within.quantity, 0) as decimal(18, 4)) as within_quantity,
    cast(coalesce(suspended.quantity, 0) as decimal(18, 4)) as suspended_quantity,
    purchased.vendor as purchased_vendor,
    purchased.is_distributor,
    purchased.quantity as purchased_quantity,
    purchased.cost_amount as partner_cost_amount,
    purchased.currency as partner_currency,
    coalesce(purchased.has_currencies, false) as has_currencies,
    purchased.long_term,
    purchased.commitment_ends_on,
    purchased.is_term_only,
    purchased.largest_quantity,
    purchased.smallest_quantity,
    purchased.other_vendor,
    purchased.other_quantity,
    charged.vendor as distributor_vendor,
    charged.quantity as distributor_invoiced_quantity,
    charged.cost_amount as distributor_invoiced_amount,
    charged.currency as distributor_invoiced_currency,
    coalesce(assigned.vendor, deployed.vendor) as assigned_vendor,
    assigned.vendor is null and deployed.vendor is not null as is_deployed,
    case
        when assigned.vendor is not null
        then assigned.quantity
        when deployed.vendor is not null
        then observed.observed_quantity
    end as assigned_quantity,
    coalesce(assigned.redundant_quantity, 0) as redundant_quantity,
    coalesce(sources.source_state, 'unknown') as source_state,
    sources.source_as_of_at,
    sources.fresh_until_at,
    sources.counted_state = 'known' as is_counted_fresh,
    sources.purchased_state = 'known' as is_purchased_fresh,
    case when assigned.vendor is not null then sources.assigned_state else sources.counted_state end
    = 'known' as is_assigned_fresh
from subjects
inner join {{ ref("int_periods") }} as periods on periods.client_id = subjects.client_id and periods.is_open
inner join
    {{ ref("int_clients") }} as clients on clients.client_id = subjects.client_id and clients.status <> 'internal'
inner join {{ ref("int_services") }} as services on services.service_id = subjects.service_id
cross join {{ ref("int_money") }} as money
left join agreed on agreed.client_id = subjects.client_id and agreed.service_id = subjects.service_id
left join observed on observed.client_id = subjects.client_id and observed.service_id = subjects.service_id
left join
    {{ ref("int_purchased_quantities") }} as purchased
    on purchased.client_id = subjects.client_id
    and purchased.service_id = subjects.service_id
left join charged on charged.client_id = subjects.client_id and charged.service_id = subjects.service_id
left join
    within
    on within.client_id = subjects.client_id
    and within.service_id = subjects.service_id
    and within.vendor = coalesce(agreed.count_vendor, services.count_vendor)
left join
    suspended
    on suspended.client_id = subjects.client_id
    and suspended.service_id = subjects.service_id
    and suspended.vendor = coalesce(agreed.count_vendor, services.count_vendor)
left join
    {{ ref("int_assigned_quantities") }} as assigned
    on assigned.client_id = subjects.client_id
    and assigned.service_id = subjects.service_id
left join
    deployed
    on deployed.service_id = subjects.service_id
    and deployed.vendor = coalesce(agreed.count_vendor, services.count_vendor)
    and observed.observed_quantity is not null
left join
    {{ ref("int_margin_sources") }} as sources
    on sources.client_id = subjects.client_id
    and sources.service_id = subjects.service_id
