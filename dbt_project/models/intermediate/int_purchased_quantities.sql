-- What is bought of a service for a client, and what that costs a month. Where a distributor lists it,
-- its number stands; else what the vendor itself says was bought. Numbers of two vendors are never added:
-- what is bought through both is whole in neither list, or in one alone, and nothing says which.
with

    records as (
        select
            licences.*,
            costs.partner_cost,
            costs.currency,
            costs.commitment_ends_on,
            costs.requires_commitment,
            case
                when lower(coalesce(costs.billing_term, 'monthly')) <> 'monthly' then costs.billing_term
            end as long_term
        from {{ ref("int_licences") }} as licences
        left join {{ ref("int_purchase_costs") }} as costs on costs.record_path = licences.record_path
        where licences.counts = 'purchased'
    ),

    bought as (
        select
            client_id,
            service_id,
            vendor,
            sum(quantity) as quantity,
            case when count(partner_cost) = count(*) then sum(quantity * partner_cost) end as cost_amount,
            min(currency) as currency,
            count(distinct currency) > 1 as has_currencies,
            max(long_term) as long_term,
            max(commitment_ends_on) as commitment_ends_on,
            max(case when requires_commitment then 1 else 0 end) = 1 as is_term_only
        from records
        group by client_id, service_id, vendor
    ),

    -- What a vendor sells itself and was read is a known number, also when it lists nothing.
    read as (
        select client_id, service_id, vendor
        from {{ ref("int_licence_lists") }}
        where counts = 'purchased' and not is_distributor and last_complete_at is not null
        union
        select client_id, service_id, vendor
        from bought
    ),

    ranked as (
        select
            read.client_id,
            read.service_id,
            read.vendor,
            vendors.is_distributor,
            coalesce(bought.quantity, 0) as quantity,
            max(coalesce(bought.quantity, 0)) over (partition by read.client_id, read.service_id) as largest_quantity,
            min(coalesce(bought.quantity, 0)) over (partition by read.client_id, read.service_id) as smallest_quantity,
            bought.cost_amount,
            bought.currency,
            coalesce(bought.has_currencies, false) as has_currencies,
            bought.long_term,
            bought.commitment_ends_on,
            bought.is_term_only,
            row_number() over (
                partition by read.client_id, read.service_id
                order by case when vendors.is_distributor then 0 else 1 end, read.vendor
            ) as place
        from read
        inner join
            (select distinct vendor, is_distributor from {{ ref("int_list_roles") }}) as vendors
            on vendors.vendor = read.vendor
        left join
            bought
            on bought.client_id = read.client_id
            and bought.service_id = read.service_id
            and bought.vendor = read.vendor
    )

select
    chosen.client_id,
    chosen.service_id,
    chosen.vendor,
    chosen.is_distributor,
    cast(chosen.quantity as decimal(18, 4)) as quantity,
    cast(chosen.largest_quantity as decimal(18, 4)) as largest_quantity,
    cast(chosen.smallest_quantity as decimal(18, 4)) as smallest_quantity,
    -- A price for a year is no price for a month, and amounts of two currencies are no sum.
    case when chosen.long_term is null and not chosen.has_currencies then chosen.cost_amount end as cost_amount,
    case when not chosen.has_currencies then chosen.currency end as currency,
    chosen.has_currencies,
    chosen.long_term,
    chosen.commitment_ends_on,
    coalesce(chosen.is_term_only, false) as is_term_only,
    others.vendor as other_vendor,
    cast(others.quantity as decimal(18, 4)) as other_quantity
from ranked as chosen
left join
    ranked as others
    on others.client_id = chosen.client_id
    and others.service_id = chosen.service_id
    and others.place = 2
where chosen.place = 1
