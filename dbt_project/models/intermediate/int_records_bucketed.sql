-- Every countable record as it stands now, in exactly one bucket.
with

standing as (
    select
        spells.*,
        contracts.billing_model,
        contracts.included_quantity,
        contracts.quantity as contracted_quantity,
        coalesce(contracts.count_vendor, services.count_vendor) as count_vendor,
        row_number() over (
            partition by spells.client_id, spells.service_id, spells.vendor, spells.standing
            order by spells.stood_from, spells.record_path
        ) as place,
        rows_decided.status
    from {{ ref('int_spells') }} as spells
    left join {{ ref('int_clients') }} as clients on clients.client_id = spells.client_id
    left join {{ ref('int_services') }} as services on services.service_id = spells.service_id
    left join {{ ref('int_contract_versions') }} as contracts
        on
            contracts.client_id = spells.client_id
            and contracts.service_id = spells.service_id
            and contracts.effective_from <= clients.today_on
            and contracts.effective_to > clients.today_on
    left join {{ ref('discrepancies') }} as rows_decided
        on
            rows_decided.client_id = spells.client_id
            and rows_decided.service_id = spells.service_id
            and rows_decided.period_month = cast({{ dbt.date_trunc('month', 'clients.today_on') }} as date)
            and rows_decided.status = 'written_off'
            and rows_decided.kind in ('under_billed', 'no_contract')
    where spells.is_current
)

select
    vendor,
    endpoint,
    connection_id,
    tenant_id,
    record_path,
    record_id,
    record_name,
    company_id,
    client_id,
    service_id,
    sku,
    sku_name,
    mark,
    unit_count,
    stood_from as first_seen_on,
    case
        when standing <> 'counted' then standing
        when count_vendor <> vendor then 'coverage_only'
        when billing_model = 'included' and place <= included_quantity then 'included'
        when status is not null and place > coalesce(contracted_quantity, 0) then 'written_off'
        else 'billed'
    end as bucket,
    coalesce(
        standing_reason,
        case when count_vendor <> vendor then 'counted at ' || count_vendor end,
        mark,
        ''
    ) as bucket_reason
from standing
