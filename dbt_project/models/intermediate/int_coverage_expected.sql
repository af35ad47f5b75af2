-- What kinds of tool a client's machines are expected in, and
-- why: what a contract covers, and protection that is counted.
with

    -- Mailboxes and the people who have them are protected without a machine.
    services as (
        select *
        from {{ ref("int_services") }}
        where unit <> 'mailbox' and (category <> 'backup' or unit not in ('user', 'licence'))
    ),

    -- A bundle promises what is in it.
    promised as (
        select client_id, service_id, effective_from, effective_to
        from {{ ref("int_contract_versions") }}
        union all
        select
            contracts.client_id,
            bundles.component_service_id as service_id,
            contracts.effective_from,
            contracts.effective_to
        from {{ ref("int_contract_versions") }} as contracts
        inner join {{ ref("int_bundles") }} as bundles on bundles.bundle_service_id = contracts.service_id
    ),

    contracted as (
        select distinct contracts.client_id, services.category, services.service_name
        from promised as contracts
        inner join
            {{ ref("int_clients") }} as clients
            on clients.client_id = contracts.client_id
            and clients.status <> 'internal'
        inner join services on services.service_id = contracts.service_id
        where
            contracts.effective_from <= clients.today_on
            and contracts.effective_to > clients.today_on
            and services.category in ('rmm', 'security', 'backup')
    ),

    counted as (
        select distinct positions.client_id, services.category, services.service_name
        from {{ ref("int_positions") }} as positions
        inner join
            {{ ref("int_clients") }} as clients
            on clients.client_id = positions.client_id
            and clients.status = 'active'
            and {{ stands_on("positions", "clients.today_on") }}
        inner join services on services.service_id = positions.service_id
        left join contracted on contracted.client_id = positions.client_id and contracted.category = services.category
        where services.category = 'security' and positions.observed_quantity > 0 and contracted.client_id is null
    ),

    expected as (
        select client_id, category, service_name, true as is_contracted
        from contracted
        union all
        select client_id, category, service_name, false as is_contracted
        from counted
    )

select
    client_id,
    category,
    is_contracted,
    case when is_contracted then 'A contract covers ' else 'The client has, without a contract, ' end
    || {{ dbt.listagg("service_name", "', '", "order by service_name") }} as expected_because
from expected
group by client_id, category, is_contracted
