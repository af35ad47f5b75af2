-- Clients with their defaults filled in and today's date where they are.
select
    client_id,
    client_name,
    lower(status) as status,
    currency,
    coalesce(time_zone, 'UTC') as time_zone,
    back_bill_days,
    accounting_customer_id,
    {{ local_date("as_of_at", "coalesce(time_zone, 'UTC')") }} as today_on
from {{ ref("clients") }}
cross join {{ ref("stg_morton__clock") }}
