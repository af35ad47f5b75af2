-- Exclusions from the seed, from decisions, and from contracts that count only what reports are one list.
with

    unioned as (
        select
            exclusion_id,
            client_id,
            service_id,
            lower(vendor) as vendor,
            record_id,
            {{ glob_to_like("name_pattern") }} as name_like,
            max_quantity,
            cast(null as integer) as silent_days,
            reason,
            owner,
            coalesce(effective_from, cast('1900-01-01' as date)) as effective_from,
            coalesce(expires_on, cast('9999-12-31' as date)) as expires_on
        from {{ ref("exclusions") }}
        union all
        select
            exclusion_id,
            client_id,
            service_id,
            vendor,
            record_id,
            cast(null as {{ dbt.type_string() }}) as name_like,
            cast(null as decimal(18, 4)) as max_quantity,
            cast(null as integer) as silent_days,
            reason,
            owner,
            effective_from,
            coalesce(expires_on, cast('9999-12-31' as date)) as expires_on
        from {{ ref("stg_ledger__exclusions") }}
        union all
        select
            contract_id || ' after ' || cast(silent_days as {{ dbt.type_string() }}) || ' silent days' as exclusion_id,
            client_id,
            service_id,
            cast(null as {{ dbt.type_string() }}) as vendor,
            cast(null as {{ dbt.type_string() }}) as record_id,
            cast(null as {{ dbt.type_string() }}) as name_like,
            cast(null as decimal(18, 4)) as max_quantity,
            silent_days,
            'The contract counts what has reported within '
            || cast(silent_days as {{ dbt.type_string() }})
            || ' days.' as reason,
            cast(null as {{ dbt.type_string() }}) as owner,
            effective_from,
            effective_to as expires_on
        from {{ ref("int_contract_versions") }}
        where silent_days is not null
    )

select
    *,
    -- What an approval stands on: all of it but the words.
    exclusion_id
    || '|'
    || coalesce(client_id, '')
    || '|'
    || coalesce(service_id, '')
    || '|'
    || coalesce(vendor, '')
    || '|'
    || coalesce(record_id, '')
    || '|'
    || coalesce(name_like, '')
    || '|'
    || coalesce(cast(max_quantity as {{ dbt.type_string() }}), '')
    || '|'
    || cast(effective_from as {{ dbt.type_string() }})
    || '|'
    || cast(expires_on as {{ dbt.type_string() }}) as exclusion_text
from unioned
