{{ config(meta={"dagster": {"ref": {"name": "int_contract_versions"}}}) }}
-- A failing row is a contract version that counts a month as a whole, on average, day by day or by its peak, of which
-- an earlier version counted some days at another tool.
with

    versions as (
        select
            contracts.*,
            coalesce(lower(contracts.count_vendor), lower(services.count_vendor), '') as tool,
            coalesce(contracts.effective_from, cast('1900-01-01' as date)) as begins_on
        from {{ ref("contracts") }} as contracts
        left join {{ ref("services") }} as services on services.service_id = contracts.service_id
    )

select later.client_id, later.service_id, later.contract_id, earlier.contract_id as earlier_contract_id
from versions as later
inner join
    versions as earlier
    on earlier.client_id = later.client_id
    and earlier.service_id = later.service_id
    and earlier.effective_to <= later.begins_on
    and earlier.effective_to > cast({{ dbt.date_trunc("month", "later.begins_on") }} as date)
    and earlier.tool <> later.tool
where lower(coalesce(later.count_basis, 'period_end')) <> 'period_end'
