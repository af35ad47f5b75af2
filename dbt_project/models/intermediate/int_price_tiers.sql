-- What a quantity costs under a contract, as steps: one for most contracts, several for a tiered one. A quantity is in
-- the step it is above the foot of and not above the top of; its price is that of its last unit.
with

    tiered as (
        select
            contract_id,
            from_quantity - 1 as foot,
            lead(from_quantity) over (partition by contract_id order by from_quantity) - 1 as top,
            unit_price,
            method
        from {{ ref("price_tiers") }}
    ),

    summed as (
        select
            *,
            -- What the units of all steps below cost, where each keeps its own step's price.
            case
                when method = 'graduated'
                then
                    coalesce(
                        sum((top - foot) * unit_price) over (
                            partition by contract_id order by foot rows between unbounded preceding and 1 preceding
                        ),
                        0
                    )
                else 0
            end as amount_below
        from tiered
    )

select
    contract_id,
    -- Nothing at all is in the first step too: it has a price, and costs nothing.
    cast(case when foot = 0 then -1 else foot end as decimal(18, 4)) as is_above,
    cast(top as decimal(18, 4)) as top,
    cast(case when method = 'graduated' then foot else 0 end as decimal(18, 4)) as priced_from,
    cast(amount_below as decimal(28, 8)) as amount_below,
    unit_price
from summed
union all
select
    contract_id,
    cast(-1 as decimal(18, 4)) as is_above,
    cast(null as decimal(18, 4)) as top,
    cast(0 as decimal(18, 4)) as priced_from,
    cast(0 as decimal(28, 8)) as amount_below,
    unit_price
from {{ ref("int_contract_versions") }}
where billing_model <> 'tiered'
