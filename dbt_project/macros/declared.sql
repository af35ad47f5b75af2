{# Records of tools that connections.yaml declares: those read through an API and those read from reports look the same. #}
{% macro declared_records(vendor) %}
    with versions as ({{ known_versions(source(vendor, "records")) }})

    select
        versions.connection_id,
        versions.tenant_id,
        versions.record_key,
        versions.record_id,
        versions.company_id,
        scopes.vendor,
        coalesce(versions.record_name, versions.host_name, versions.record_id) as record_name,
        versions.company_name,
        coalesce(versions.sku, scopes.vendor) as sku,
        coalesce(versions.sku_name, versions.sku, scopes.vendor) as sku_name,
        coalesce(versions.person_id, versions.record_key) as person_key,
        versions.person_id,
        versions.state,
        versions.attributes,
        versions.serial_number,
        versions.mac_addresses,
        versions.host_name,
        cast(null as {{ dbt.type_string() }}) as device_class,
        versions.seen_on,
        case when versions.seen_on is not null then 'silent since ' || versions.seen_on end as mark,
        versions.quantity as unit_count,
        lower(versions.unit) as unit,
        versions.valid_from,
        versions.known_valid_to as valid_to
    from versions
    -- Its tool's name; records of a connection that is no longer declared so are nobody's.
    inner join
        {{ ref("stg_morton__scopes") }} as scopes
        on scopes.connection_id = versions.connection_id
        and scopes.tenant_id = versions.tenant_id
        and scopes.endpoint = 'records'
        and scopes.declared_as = '{{ vendor }}'
{% endmacro %}
