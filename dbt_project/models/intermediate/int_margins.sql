-- What a client's service brings and costs a month, what of it is bought and not in use, and the other way round.
with

    costed as (
        select
            *,
            coalesce(purchased_quantity, 0) > 0 as is_bought,
            -- What a distributor charges for is counted there; nothing bought is nothing it could have charged for.
            case
                when coalesce(purchased_quantity, 0) > 0
                then purchased_quantity
                else observed_quantity - coalesce(within_quantity, 0)
            end as cost_quantity,
            case when purchased_quantity > 0 then partner_cost_amount end as partner_amount,
            has_currencies or long_term is not null as is_cost_unclear
        from {{ ref("int_margin_numbers") }}
    ),

    priced as (
        select
            *,
            case
                when partner_amount is not null
                then partner_amount / purchased_quantity
                when not is_cost_unclear
                then list_cost
            end as unit_cost,
            case
                when partner_amount is not null
                then partner_currency
                when not is_cost_unclear and list_cost is not null
                then main_currency
            end as cost_currency,
            case
                when partner_amount is not null
                then partner_amount
                when not is_cost_unclear
                then list_cost * cost_quantity
            end as exact_cost,
            case
                when contract_id is null then 0 else {{ round_money("contracted_quantity * unit_price", "currency") }}
            end as billed_amount,
            -- A licence whose holder has the same within another one is not needed, though it is assigned.
            case
                when is_purchased_fresh and is_assigned_fresh
                then purchased_quantity - assigned_quantity + coalesce(redundant_quantity, 0)
            end as spare,
            -- Where two lists of purchases differ, only what exceeds both is surely not bought.
            case when is_purchased_fresh and is_assigned_fresh then assigned_quantity - largest_quantity end as missing,
            case
                when is_purchased_fresh and is_assigned_fresh then assigned_quantity - smallest_quantity
            end as doubtful,
            case when is_bought then is_purchased_fresh else is_counted_fresh end as is_cost_fresh
        from costed
    ),

    rounded as (
        select
            *,
            {{ round_money("exact_cost", "coalesce(cost_currency, '')") }} as cost_amount,
            case when spare > 0 then spare when spare is not null then 0 end as waste_quantity,
            case when missing > 0 then missing when missing is not null then 0 end as risk_quantity,
            coalesce(missing <= 0 and doubtful > 0, false) as is_doubtful,
            coalesce(
                contract_id is not null
                and billing_model <> 'flat'
                and cost_quantity > 0
                and currency = cost_currency
                and unit_cost > unit_price,
                false
            ) as is_below_cost
        from priced
    )

select
    *,
    {{ round_money("waste_quantity * unit_cost", "coalesce(cost_currency, '')") }} as waste_amount,
    case when currency = cost_currency then billed_amount - cost_amount end as margin_amount,
    {{ round_money("exact_cost - unit_price * cost_quantity", "currency") }} as loss_amount
from rounded
