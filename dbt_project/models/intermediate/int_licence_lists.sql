-- Which lists of purchases and of assignments could say something of a client's service, read or not.
with

    -- A vendor whose records are mapped to a service on one of its lists may know it on the other as well.
    sold as (
        select distinct patterns.vendor, patterns.names as service_id
        from {{ ref("int_patterns") }} as patterns
        inner join
            {{ ref("int_list_roles") }} as roles
            on roles.vendor = patterns.vendor
            and roles.endpoint = patterns.endpoint
            and roles.counts in ('purchased', 'assigned')
        where patterns.purpose = 'service'
    )

select distinct
    lists.client_id,
    sold.service_id,
    roles.counts,
    lists.vendor,
    roles.is_distributor,
    lists.connection_id,
    lists.endpoint,
    lists.tenant_id,
    lists.state,
    lists.last_complete_at,
    lists.fresh_until_at
from {{ ref("int_client_lists") }} as lists
inner join
    {{ ref("int_list_roles") }} as roles
    on roles.vendor = lists.vendor
    and roles.endpoint = lists.endpoint
    and roles.counts in ('purchased', 'assigned')
inner join sold on sold.vendor = lists.vendor
where lists.is_current
