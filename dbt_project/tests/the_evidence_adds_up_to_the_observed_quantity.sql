{{ config(meta={"dagster": {"ref": {"name": "discrepancies"}}}) }}
-- A failing row is a discrepancy whose records do not add up to the quantity it claims to have observed. Those of a
-- closed month added up when it was closed.
with

    -- A bundle may be counted by the records of a component, in that one's unit.
    units as (
        select services.service_id, counters.unit
        from {{ ref("int_services") }} as services
        inner join {{ ref("int_services") }} as counters on counters.service_id = services.counted_as
    ),

    -- Who held what on which of the days is not added up from shares of records.
    shared as (
        select client_id, service_id, period_month, kind
        from {{ ref("int_usage_variances") }}
        where count_basis in ('average', 'daily')
    ),

    records as (
        select discrepancy_id, connection_id, record_id, sum(quantity) as units, max(quantity) as heads
        from {{ ref("int_evidence_unioned") }}
        where bucket in ('billed', 'included') and change <> 'removed'
        group by discrepancy_id, connection_id, record_id
    ),

    -- A person counts once, whatever they hold.
    evidence as (
        select discrepancy_id, sum(units) as units, sum(heads) as heads, count(*) as record_count
        from records
        group by discrepancy_id
    )

select discrepancies.discrepancy_id, discrepancies.observed_quantity, evidence.units, evidence.heads
from {{ ref("discrepancies") }} as discrepancies
inner join units on units.service_id = discrepancies.service_id
left join evidence on evidence.discrepancy_id = discrepancies.discrepancy_id
left join {{ ref("stg_morton__closed_findings") }} as closed on closed.discrepancy_id = discrepancies.discrepancy_id
left join
    shared
    on shared.client_id = discrepancies.client_id
    and shared.service_id = discrepancies.service_id
    and shared.period_month = discrepancies.period_month
    and shared.kind = discrepancies.kind
where
    closed.discrepancy_id is null
    and discrepancies.kind in ('under_billed', 'over_billed', 'no_contract', 'no_usage')
    and discrepancies.observed_quantity is not null
    and (shared.kind is null or units.unit <> 'user')
    -- Shares of days are rounded record by record.
    and abs(
        discrepancies.observed_quantity
        - coalesce(case when units.unit = 'user' then evidence.heads else evidence.units end, 0)
    )
    > case when shared.kind is null then 0 else 0.0001 * (1 + coalesce(evidence.record_count, 0)) end
