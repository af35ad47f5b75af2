-- What people hold within another SKU, and the service it is sold as. A SKU that is mapped to none is left out.
with

    sold as (
        select
            includes.vendor,
            roles.endpoint,
            includes.sku,
            includes.included_sku,
            eras.era_from,
            eras.era_to,
            patterns.names as service_id,
            patterns.pattern_key,
            row_number() over (
                partition by includes.vendor, roles.endpoint, includes.sku, includes.included_sku, eras.era_from
                order by patterns.priority, patterns.specificity desc, patterns.pattern_key
            ) as place
        from {{ ref("int_sku_includes") }} as includes
        inner join {{ ref("int_list_roles") }} as roles on roles.vendor = includes.vendor
        inner join
            {{ ref("int_patterns") }} as patterns
            on patterns.vendor = roles.vendor
            and patterns.endpoint = roles.endpoint
            and patterns.purpose = 'service'
            and patterns.field = roles.sku_field
            and includes.included_sku like patterns.like_pattern escape '!'
        inner join
            {{ ref("int_eras") }} as eras
            on {{ is_in_force("eras.era_from", "patterns.effective_from", "patterns.effective_to") }}
    )

select
    records.vendor,
    records.record_path,
    records.start_on,
    records.end_on,
    records.client_id,
    records.person_key,
    records.sku,
    sold.included_sku,
    sold.service_id,
    sold.pattern_key
from {{ ref("int_records_classified") }} as records
inner join
    sold
    on sold.vendor = records.vendor
    and sold.endpoint = records.endpoint
    and sold.sku = lower(records.sku)
    and sold.era_from <= records.start_on
    and sold.era_to > records.start_on
    and sold.place = 1
inner join {{ ref("int_services") }} as services on services.service_id = sold.service_id
where
    records.person_key is not null
    and records.client_id is not null
    and records.client_status <> 'internal'
    -- What counts for nobody holds nothing that counts.
    and records.rule_name is null
    and records.state_reason is null
    and {{ units_fit("records.unit", "services.unit") }}
