{{ config(meta={"dagster": {"ref": {"name": "int_records_bucketed"}}}) }}
-- A failing row is a source whose records do not add up: what is listed there is not what the buckets hold.
with

    listed as (
        {% for e in countable_endpoints() %}
            select {{ vendor_of(e) }} as vendor, '{{ e.endpoint }}' as endpoint, connection_id, tenant_id, record_key
            from {{ ref("stg_" ~ e.vendor ~ "__" ~ e.endpoint) }} as records
            where valid_to is null and {{ is_connected() }}
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    sources as (
        select vendor, endpoint, connection_id, tenant_id, count(*) as records
        from listed
        group by vendor, endpoint, connection_id, tenant_id
    ),

    buckets as (
        select
            vendor,
            endpoint,
            connection_id,
            tenant_id,
            count(*) as records,
            count(distinct record_path) as distinct_records,
            sum(
                case
                    when
                        bucket in (
                            'billed',
                            'included',
                            'excluded',
                            'written_off',
                            'unmapped',
                            'internal',
                            'coverage_only',
                            'unknown_state'
                        )
                    then 1
                    else 0
                end
            ) as known_buckets
        from {{ ref("int_records_bucketed") }}
        group by vendor, endpoint, connection_id, tenant_id
    )

select sources.*, buckets.records as bucketed, buckets.distinct_records, buckets.known_buckets
from sources
left join
    buckets
    on buckets.vendor = sources.vendor
    and buckets.endpoint = sources.endpoint
    and buckets.connection_id = sources.connection_id
    and buckets.tenant_id = sources.tenant_id
where
    buckets.records is null
    or buckets.records <> sources.records
    or buckets.distinct_records <> sources.records
    or buckets.known_buckets <> sources.records
