{{ config(meta={"dagster": {"ref": {"name": "int_contract_versions"}}}) }}
-- A failing row is a contract version that begins after a gap, and whose note does not say that it is meant.
with

    versions as (
        select
            *,
            lag(effective_to) over (
                partition by client_id, service_id order by coalesce(effective_from, cast('1900-01-01' as date))
            ) as earlier_ends_on
        from {{ ref("contracts") }}
    )

select client_id, service_id, contract_id, earlier_ends_on, effective_from
from versions
where effective_from > earlier_ends_on and lower(coalesce(note, '')) not like 'gap:%'
