{{ config(meta={"dagster": {"ref": {"name": "discrepancies"}}}) }}
-- A failing row is a discrepancy whose records do not add up to the quantity it claims to have observed.
with

    units as (select service_id, unit from {{ ref("int_services") }}),

    evidence as (
        select discrepancy_id, count(*) as records, count(distinct connection_id || '|' || record_id) as persons
        from {{ ref("discrepancy_evidence") }}
        where bucket in ('billed', 'included', 'written_off') and bucket_reason <> 'gone'
        group by discrepancy_id
    )

select discrepancies.discrepancy_id, discrepancies.observed_quantity, evidence.records, evidence.persons
from {{ ref("discrepancies") }} as discrepancies
inner join units on units.service_id = discrepancies.service_id
left join evidence on evidence.discrepancy_id = discrepancies.discrepancy_id
where
    discrepancies.kind in ('under_billed', 'over_billed', 'no_contract', 'no_usage')
    and units.unit in ('device', 'agent', 'user', 'licence')
    and discrepancies.observed_quantity is not null
    and discrepancies.observed_quantity
    <> coalesce(case when units.unit = 'user' then evidence.persons else evidence.records end, 0)
    and not exists (
        select 1
        from {{ ref("int_patterns") }} as patterns
        where
            patterns.purpose = 'service'
            and patterns.names = discrepancies.service_id
            and patterns.endpoint = 'subscribed_skus'
    )
