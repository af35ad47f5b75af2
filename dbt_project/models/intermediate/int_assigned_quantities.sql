-- How many licences of a service are assigned at a client, whoever holds them: a shared mailbox uses one up as well.
with

    held as (
        select
            client_id,
            service_id,
            vendor,
            sum(quantity) as quantity,
            sum(case when is_redundant then quantity else 0 end) as redundant_quantity
        from {{ ref("int_licences") }}
        where counts = 'assigned'
        group by client_id, service_id, vendor
    ),

    read as (
        select distinct client_id, service_id, vendor
        from {{ ref("int_licence_lists") }}
        where counts = 'assigned' and last_complete_at is not null
    ),

    ranked as (
        select
            read.client_id,
            read.service_id,
            read.vendor,
            coalesce(held.quantity, 0) as quantity,
            coalesce(held.redundant_quantity, 0) as redundant_quantity,
            row_number() over (
                partition by read.client_id, read.service_id
                order by case when services.count_vendor = read.vendor then 0 else 1 end, read.vendor
            ) as place
        from read
        inner join {{ ref("int_services") }} as services on services.service_id = read.service_id
        left join
            held on held.client_id = read.client_id and held.service_id = read.service_id and held.vendor = read.vendor
    )

select
    client_id,
    service_id,
    vendor,
    cast(quantity as decimal(18, 4)) as quantity,
    cast(redundant_quantity as decimal(18, 4)) as redundant_quantity
from ranked
where place = 1
