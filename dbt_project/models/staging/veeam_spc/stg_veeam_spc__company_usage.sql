with versions as ({{ known_versions(source("veeam_spc", "company_usage")) }})

select
    connection_id,
    tenant_id,
    record_key,
    company_uid,
    location_uid,
    record_key as record_id,
    company_uid as company_id,
    counter_name || ' of ' || coalesce(company_name, company_uid) as record_name,
    counter as sku,
    counter_name as sku_name,
    -- A counter stands for so many machines or people, none of whom it names.
    cast(null as {{ dbt.type_string() }}) as person_key,
    counter,
    counter_name,
    company_name,
    usage_state,
    case when company_name is null then 'company not listed' end as mark,
    quantity as unit_count,
    unit,
    valid_from,
    known_valid_to as valid_to

from versions
