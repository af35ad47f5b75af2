with versions as ({{ known_versions(source("acronis", "usages")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id,
    id as record_id,
    tenant_uuid as company_id,
    tenant_name || ': ' || name as record_name,
    usage_name as sku,
    replace(usage_name, '_', ' ') as sku_name,
    record_key as person_key,
    tenant_uuid,
    tenant_number,
    application_id,
    type,
    name,
    usage_name,
    edition,
    infra_id,
    measurement_unit,
    offering_item__status,
    tenant_name,
    tenant_kind,
    tenant_pricing_mode,
    tenant_state,
    tenant_enabled,
    case when lower(tenant_enabled) = 'false' then 'tenant disabled' end as mark,
    -- A gigabyte is 2^30 bytes: dividing by a power of two is exact, whatever type the engine divides in.
    case
        when lower(measurement_unit) = 'bytes'
        then cast(value / 1073741824 as decimal(18, 4))
        else cast(value as decimal(18, 4))
    end as unit_count,
    case
        when lower(measurement_unit) = 'bytes'
        then 'gigabyte'
        when lower(measurement_unit) <> 'quantity'
        then 'other'
        when lower(usage_name) like '%mailboxes'
        then 'mailbox'
        when lower(usage_name) like '%seats'
        then 'licence'
        when
            lower(usage_name) like '%workstations'
            or lower(usage_name) like '%servers'
            or lower(usage_name) like '%vms'
            or lower(usage_name) like '%mobiles'
        then 'device'
        else 'other'
    end as unit,
    valid_from,
    known_valid_to as valid_to

from versions
