-- The days on which what a client has agreed to changed in another way than its price: a quantity, a term, a
-- beginning, an end. Versions that begin with the seed began before anybody looked.
with

    versions as (
        select
            *,
            billing_model
            || '|'
            || coalesce(cast(minimum_quantity as {{ dbt.type_string() }}), '')
            || '|'
            || coalesce(cast(included_quantity as {{ dbt.type_string() }}), '')
            || '|'
            || count_basis
            || '|'
            || coalesce(cast(committed_quantity as {{ dbt.type_string() }}), '')
            || '|'
            || cast(notice_days as {{ dbt.type_string() }})
            || '|'
            || coalesce(count_vendor, '') as terms
        from {{ ref("int_contract_versions") }}
    ),

    changed as (
        select
            later.client_id,
            later.service_id,
            later.effective_from as changed_on,
            case
                when earlier.contract_id is null
                then 'a contract for ' || {{ say_quantity("later.quantity") }} || ' began'
                when earlier.quantity <> later.quantity
                then
                    'the contract changed from '
                    || {{ say_quantity("earlier.quantity") }}
                    || ' to '
                    || {{ say_quantity("later.quantity") }}
                when earlier.terms <> later.terms
                then 'the terms of the contract changed'
            end as change
        from versions as later
        left join
            versions as earlier
            on earlier.client_id = later.client_id
            and earlier.service_id = later.service_id
            and earlier.effective_to = later.effective_from
        where later.effective_from > cast('1900-01-01' as date)
        union all
        select
            earlier.client_id,
            earlier.service_id,
            earlier.effective_to as changed_on,
            'the contract for ' || {{ say_quantity("earlier.quantity") }} || ' ended' as change
        from versions as earlier
        left join
            versions as later
            on later.client_id = earlier.client_id
            and later.service_id = earlier.service_id
            and later.effective_from = earlier.effective_to
        where earlier.effective_to < cast('9999-12-31' as date) and later.contract_id is null
    )

select client_id, service_id, changed_on, change
from changed
where change is not null
