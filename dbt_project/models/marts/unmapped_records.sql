select
    records.vendor,
    records.connection_id,
    records.endpoint,
    records.company_id,
    coalesce(companies.company_name, mappings.company_name, records.company_id) as company_name,
    records.client_id,
    records.sku,
    records.sku_name,
    -- What is counted in another unit has a service; its mapping is what does not fit.
    records.service_id is not null or records.service_reason is not null as has_service,
    records.record_id,
    records.record_name,
    records.bucket_reason as reason,
    records.unit_count as quantity,
    records.unit,
    cast(
        coalesce(
            services.list_price, case when {{ units_fit("records.unit", "guessed.unit") }} then guessed.list_price end
        )
        * records.unit_count as decimal(18, 4)
    ) as list_amount,
    money.main_currency as currency,
    records.first_seen_on
from {{ ref("int_records_bucketed") }} as records
cross join {{ ref("int_money") }} as money
left join
    {{ ref("int_companies_unioned") }} as companies
    on companies.connection_id = records.connection_id
    and companies.company_id = records.company_id
left join
    (
        select connection_id, lower(company_id) as company_id, max(company_name) as company_name
        from {{ ref("company_mappings") }}
        group by connection_id, lower(company_id)
    ) as mappings
    on mappings.connection_id = records.connection_id
    and mappings.company_id = records.company_id
left join {{ ref("int_services") }} as services on services.service_id = records.service_id
left join
    (
        select lower(service_name) as name, max(list_price) as list_price, max(unit) as unit
        from {{ ref("int_services") }}
        group by lower(service_name)
    ) as guessed
    on records.service_id is null
    and records.service_reason is null
    and guessed.name = lower(records.sku_name)
where records.bucket in ('unmapped', 'unknown_state')
