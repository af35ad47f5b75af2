-- Companies mapped to no client, SKUs mapped to no service, and what is in a state nobody knows, at list price.
with

    records as (
        select
            spells.*,
            clients.client_name,
            coalesce(clients.today_on, cast({{ local_date("clock.as_of_at", "'UTC'") }} as date)) as today_on,
            coalesce(
                mapped.list_price, case when {{ units_fit("spells.unit", "guessed.unit") }} then guessed.list_price end
            ) as list_price,
            calendar.months_elapsed as months_before
        from {{ ref("int_spells") }} as spells
        cross join {{ ref("stg_morton__clock") }} as clock
        left join {{ ref("int_clients") }} as clients on clients.client_id = spells.client_id
        left join
            {{ ref("int_services") }} as mapped
            on mapped.service_id = spells.service_id
            and coalesce(mapped.count_vendor, spells.vendor) = spells.vendor
        left join
            (
                select lower(service_name) as name, max(list_price) as list_price, max(unit) as unit
                from {{ ref("int_services") }}
                group by lower(service_name)
            ) as guessed
            on spells.service_id is null
            and spells.service_reason is null
            and guessed.name = lower(spells.sku_name)
        left join
            {{ ref("int_calendar") }} as calendar on calendar.calendar_on = {{ plus_days(-1, "spells.stood_from") }}
        where spells.standing in ('unmapped', 'unknown_state') and spells.is_current
    ),

    subjects as (
        select
            records.*,
            case when client_id is null then 'unmapped_company' else 'unmapped_sku' end as kind,
            case when client_id is null then connection_id || '/' || company_id else '' end as company_path,
            case when client_id is null then '' else vendor || '/' || sku end as sku_path,
            today.months_elapsed as months_now
        from records
        left join {{ ref("int_calendar") }} as today on today.calendar_on = records.today_on
    )

select
    subjects.kind,
    coalesce(subjects.client_id, '') as client_id,
    subjects.company_path,
    subjects.sku_path,
    subjects.vendor,
    money.main_currency as currency,
    cast({{ dbt.date_trunc("month", "max(subjects.today_on)") }} as date) as period_month,
    max(subjects.today_on) as last_on,
    coalesce(
        max(subjects.client_name), max(companies.company_name), max(mappings.company_name), min(subjects.company_id)
    )
    || case when max(subjects.allocation_reason) is null then '' else ' (unallocated)' end as client_name,
    case when subjects.kind = 'unmapped_sku' then max(subjects.sku_name) end as service_name,
    cast(sum(subjects.unit_count) as decimal(18, 4)) as observed_quantity,
    cast(
        case when min(subjects.list_price) = max(subjects.list_price) then max(subjects.list_price) end as decimal(
            18, 4
        )
    ) as price,
    {{ round_money("sum(subjects.unit_count * subjects.list_price)", "money.main_currency") }} as variance_amount,
    {{
        round_money(
            "sum(subjects.unit_count * subjects.list_price * (subjects.months_now - coalesce(subjects.months_before, 0)))",
            "money.main_currency",
        )
    }}
    as accumulated_amount,
    coalesce(
        case
            when max(subjects.allocation_reason) is not null
            then 'a company that several clients share, and none of its rows in company_mappings.csv gives these to one'
        end,
        'in a state nobody knows yet ('
        || min(case when subjects.standing = 'unknown_state' then subjects.state_reason end)
        || ')',
        max(subjects.service_reason)
    ) as remark,
    min(subjects.stood_from) as began_on,
    min(states.last_complete_at) as source_as_of_at,
    case
        when min(case when states.state in ('known', 'zero') then 1 else 0 end) = 1
        then 'known'
        when max(case when states.state = 'partial' then 1 else 0 end) = 1
        then 'partial'
        else 'stale'
    end as source_state
from subjects
cross join {{ ref("int_money") }} as money
left join
    {{ ref("int_companies_unioned") }} as companies
    on companies.connection_id = subjects.connection_id
    and companies.company_id = subjects.company_id
left join
    (
        select connection_id, lower(company_id) as company_id, max(company_name) as company_name
        from {{ ref("company_mappings") }}
        group by connection_id, lower(company_id)
    ) as mappings
    on mappings.connection_id = subjects.connection_id
    and mappings.company_id = subjects.company_id
left join
    {{ ref("int_scope_states") }} as states
    on states.connection_id = subjects.connection_id
    and states.endpoint = subjects.endpoint
    and states.tenant_id = subjects.tenant_id
group by
    subjects.kind,
    coalesce(subjects.client_id, ''),
    subjects.company_path,
    subjects.sku_path,
    subjects.vendor,
    money.main_currency
