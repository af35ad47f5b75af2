with

    clients as (
        select
            client_id, client_name, {{ plus_days(-1, dbt.date_trunc("month", "today_on")) }} as previous_month_ends_on
        from {{ ref("int_clients") }}
        where status <> 'internal'
    ),

    -- What another tool than the one that is billed by lists moves no line.
    billed as (
        select
            changes.*,
            clients.client_name,
            services.service_name,
            came_from.service_name as from_service_name,
            cast({{ dbt.date_trunc("month", "changes.changed_on") }} as date) as period_month
        from {{ ref("int_record_changes") }} as changes
        inner join
            clients
            on clients.client_id = changes.client_id
            and changes.changed_on >= cast({{ dbt.date_trunc("month", "clients.previous_month_ends_on") }} as date)
        inner join {{ ref("int_services") }} as services on services.service_id = changes.service_id
        left join
            {{ ref("int_contract_versions") }} as contracts
            on contracts.client_id = changes.client_id
            and contracts.service_id = changes.service_id
            and contracts.effective_from <= changes.changed_on
            and contracts.effective_to > changes.changed_on
        left join {{ ref("int_services") }} as came_from on came_from.service_id = changes.from_service_id
        where
            coalesce(contracts.count_vendor, services.count_vendor) = changes.vendor
            or came_from.count_vendor = changes.vendor
    )

select
    billed.period_month,
    billed.changed_on,
    billed.client_id,
    billed.client_name,
    billed.service_id,
    billed.service_name,
    billed.change,
    billed.from_service_id,
    billed.from_service_name,
    billed.vendor,
    billed.connection_id,
    billed.record_id,
    billed.record_path as record_key,
    billed.record_name,
    cast(billed.quantity as decimal(18, 4)) as quantity,
    billed.note as explanation
from billed
