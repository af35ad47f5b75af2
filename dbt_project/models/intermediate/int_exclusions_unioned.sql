-- Exclusions from the seed and from decisions are one list.
select
    exclusion_id,
    client_id,
    service_id,
    lower(vendor) as vendor,
    record_id,
    {{ glob_to_like("name_pattern") }} as name_like,
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
    reason,
    owner,
    effective_from,
    coalesce(expires_on, cast('9999-12-31' as date)) as expires_on
from {{ ref("stg_ledger__exclusions") }}
