-- Services in force that are sold for less than they cost, in one currency.
select
    period_month,
    last_on,
    client_id,
    client_name,
    service_id,
    service_name,
    contract_text,
    case when is_bought then purchased_vendor else count_vendor end as vendor,
    case when is_bought then 'bought' else 'counted' end as basis,
    coalesce(count_vendor = purchased_vendor, false) as is_counted_there,
    cast(cost_quantity as decimal(18, 4)) as cost_quantity,
    contracted_quantity,
    unit_price as price,
    currency,
    loss_amount as variance_amount,
    source_state,
    source_as_of_at,
    client_name
    || ' pays '
    || {{ say_money("unit_price", "currency") }}
    || ' for one '
    || service_name
    || ', which costs us '
    || {{ say_money("unit_cost", "cost_currency") }}
    || case when partner_amount is not null then ' at ' || {{ vendor_title("purchased_vendor") }} else '' end
    || ': '
    || {{ say_quantity("cost_quantity") }}
    || case when is_bought then ' bought' else ' counted' end
    || ' lose '
    || {{ say_money("loss_amount", "currency") }}
    || ' a month.' as remark
from {{ ref("int_margins") }}
where is_below_cost and source_state <> 'unknown'
