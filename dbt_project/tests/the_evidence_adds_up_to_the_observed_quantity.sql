{{ config(meta={"dagster": {"ref": {"name": "discrepancies"}}}) }}
-- A failing row is a discrepancy whose records do not add up to the quantity it claims to have observed.
with

    units as (select service_id, unit from {{ ref("int_services") }}),

    records as (
        select discrepancy_id, connection_id, record_id, sum(quantity) as units, max(quantity) as heads
        from {{ ref("discrepancy_evidence") }}
        where bucket in ('billed', 'included', 'written_off') and bucket_reason <> 'gone'
        group by discrepancy_id, connection_id, record_id
    ),

    -- A person counts once, whatever they hold.
    evidence as (select discrepancy_id, sum(units) as units, sum(heads) as heads from records group by discrepancy_id)

select discrepancies.discrepancy_id, discrepancies.observed_quantity, evidence.units, evidence.heads
from {{ ref("discrepancies") }} as discrepancies
inner join units on units.service_id = discrepancies.service_id
left join evidence on evidence.discrepancy_id = discrepancies.discrepancy_id
where
    discrepancies.kind in ('under_billed', 'over_billed', 'no_contract', 'no_usage')
    and discrepancies.observed_quantity is not null
    and discrepancies.observed_quantity
    <> coalesce(case when units.unit = 'user' then evidence.heads else evidence.units end, 0)
