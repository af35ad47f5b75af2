-- Every countable record as it stands now, in exactly one bucket.
with

    terms as (
        select
            contracts.client_id, contracts.service_id, contracts.quantity as contracted_quantity, contracts.count_vendor
        from {{ ref("int_contract_versions") }} as contracts
        inner join {{ ref("int_clients") }} as clients on clients.client_id = contracts.client_id
        where contracts.effective_from <= clients.today_on and contracts.effective_to > clients.today_on
    ),

    written_off as (
        select decided.client_id, decided.service_id, decided.status
        from {{ ref("discrepancies") }} as decided
        inner join {{ ref("int_clients") }} as clients on clients.client_id = decided.client_id
        where
            decided.period_month = cast({{ dbt.date_trunc("month", "clients.today_on") }} as date)
            and decided.status = 'written_off'
            and decided.kind in ('under_billed', 'no_contract')
    ),

    -- What comes without a price of its own: free under the contract, or inside a bundle.
    included as (
        select
            positions.client_id,
            positions.service_id,
            coalesce(case when positions.billing_model = 'included' then positions.included_quantity end, 0)
            + coalesce(positions.covered_quantity, 0) as included_quantity
        from {{ ref("int_positions") }} as positions
        inner join
            {{ ref("int_clients") }} as clients
            on clients.client_id = positions.client_id
            and {{ stands_on("positions", "clients.today_on") }}
        where positions.billing_model = 'included' or positions.covered_quantity > 0
    ),

    -- The place among a client's units says something only where some of them are included or written off.
    ordered as (
        select client_id, service_id
        from included
        union
        select client_id, service_id
        from written_off
    ),

    placed as (
        select
            spells.vendor,
            spells.record_path,
            sum(spells.unit_count) over (
                partition by spells.client_id, spells.service_id, spells.vendor
                order by spells.stood_from, spells.record_path
                rows between unbounded preceding and current row
            ) as place
        from {{ ref("int_spells") }} as spells
        inner join ordered on ordered.client_id = spells.client_id and ordered.service_id = spells.service_id
        where spells.is_current and spells.standing = 'counted'
    ),

    standing as (
        select
            spells.*,
            included.included_quantity,
            terms.contracted_quantity,
            coalesce(terms.count_vendor, services.count_vendor) as count_vendor,
            written_off.status,
            placed.place
        from {{ ref("int_spells") }} as spells
        left join {{ ref("int_services") }} as services on services.service_id = spells.service_id
        left join terms on terms.client_id = spells.client_id and terms.service_id = spells.service_id
        left join included on included.client_id = spells.client_id and included.service_id = spells.service_id
        left join written_off on written_off.client_id = spells.client_id and written_off.service_id = spells.service_id
        left join placed on placed.vendor = spells.vendor and placed.record_path = spells.record_path
        -- What is held within another SKU is no record of its own.
        where spells.is_current and not spells.is_within
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
    unit,
    service_reason,
    stood_from as first_seen_on,
    case
        when standing <> 'counted'
        then standing
        when count_vendor <> vendor
        then 'coverage_only'
        when place <= included_quantity
        then 'included'
        when status is not null and place > coalesce(contracted_quantity, 0)
        then 'written_off'
        else 'billed'
    end as bucket,
    coalesce(
        standing_reason, case when count_vendor <> vendor then 'counted at ' || count_vendor end, mark, ''
    ) as bucket_reason
from standing
