with

    months as (
        select
            discrepancies.discrepancy_id,
            discrepancies.client_id,
            discrepancies.service_id,
            periods.period_month,
            periods.last_on
        from {{ ref("discrepancies") }} as discrepancies
        inner join
            {{ ref("int_periods") }} as periods
            on periods.client_id = discrepancies.client_id
            and periods.period_month = coalesce(discrepancies.corrects_month, discrepancies.period_month)
        where discrepancies.kind <> 'no_contract'
    ),

    tiers as (
        select
            contract_id,
            min(method) as tier_method,
            {{
                dbt.listagg(
                    say_quantity("from_quantity") ~ " || ' at ' || " ~ say_quantity("unit_price"),
                    "', '",
                    "order by from_quantity",
                )
            }} as price_tiers
        from {{ ref("price_tiers") }}
        group by contract_id
    )

select
    months.discrepancy_id,
    contracts.contract_id,
    contracts.effective_from,
    contracts.effective_to,
    lower(contracts.billing_model) as billing_model,
    contracts.quantity as contracted_quantity,
    contracts.unit_price,
    clients.currency,
    contracts.minimum_quantity,
    contracts.included_quantity,
    tiers.price_tiers,
    tiers.tier_method,
    lower(coalesce(contracts.count_basis, 'period_end')) as count_basis,
    contracts.tolerance_quantity,
    contracts.committed_quantity,
    contracts.committed_until,
    contracts.notice_days,
    contracts.silent_days,
    contracts.note,
    lower(coalesce(contracts.proof_names, 'hidden')) as proof_names,
    -- Of a month that saw several versions the texts were kept as one.
    coalesce(
        replace(closed.contract_text, versions.contract_text, '') = closed.contract_text, false
    ) as is_edited_since_closed
from months
inner join
    {{ ref("int_contract_versions") }} as versions
    on versions.client_id = months.client_id
    and versions.service_id = months.service_id
    and versions.effective_from <= months.last_on
    and versions.effective_to > months.period_month
inner join {{ ref("contracts") }} as contracts on contracts.contract_id = versions.contract_id
inner join {{ ref("int_clients") }} as clients on clients.client_id = months.client_id
left join
    {{ ref("stg_morton__closed_terms") }} as closed
    on closed.client_id = months.client_id
    and closed.service_id = months.service_id
    and closed.period_month = months.period_month
    and closed.contract_id = versions.contract_id
left join tiers on tiers.contract_id = versions.contract_id
where
    -- Counted at its end, a month stands under its last day's version alone.
    versions.effective_to > months.last_on or lower(coalesce(contracts.count_basis, 'period_end')) <> 'period_end'
