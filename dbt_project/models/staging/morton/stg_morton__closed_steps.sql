select
    client_id,
    cast(period_month as date) as period_month,
    service_id,
    cast(is_above as decimal(18, 4)) as is_above,
    cast(top as decimal(18, 4)) as top,
    cast(priced_from as decimal(18, 4)) as priced_from,
    cast(amount_below as decimal(28, 8)) as amount_below,
    cast(unit_price as decimal(18, 4)) as unit_price
from {{ source("morton", "closed_steps") }}
