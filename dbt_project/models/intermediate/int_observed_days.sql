-- The observed quantity on each client-local day; a day nobody looked at carries the last observation forward.
with

    days as (
        select
            steps.client_id,
            steps.service_id,
            steps.vendor,
            steps.connection_id,
            steps.quantity,
            {{
                each_day(
                    "steps.quantity_from",
                    "case when steps.quantity_to > clients.today_on then clients.today_on else "
                    ~ plus_days(-1, "steps.quantity_to")
                    ~ " end",
                )
            }} as quantity_on
        from {{ ref("int_quantity_steps") }} as steps
        inner join {{ ref("int_clients") }} as clients on clients.client_id = steps.client_id
        where steps.quantity <> 0 and steps.quantity_from <= clients.today_on
    )

select
    client_id,
    service_id,
    vendor,
    cast(quantity_on as date) as quantity_on,
    {{ dbt.listagg("connection_id", "', '", "order by connection_id") }} as connection_ids,
    cast(sum(quantity) as decimal(18, 4)) as observed_quantity
from days
group by client_id, service_id, vendor, cast(quantity_on as date)
