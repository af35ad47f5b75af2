with versions as ({{ known_versions(source("datto_bcdr", "assets")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id,
    id as record_id,
    coalesce(
        device__organization_id, nullif(device__client_company_name, ''), 'appliance:' || device__serial_number
    ) as company_id,
    coalesce(name, fqdn, id) as record_name,
    asset_class as sku,
    case
        asset_class when 'share' then 'Share' when 'agent' then 'Protected machine' else 'Protected ' || asset_class
    end as sku_name,
    record_key as person_key,
    protected_machine__serial as serial_number,
    case when protected_machine__mac <> '' then '["' || protected_machine__mac || '"]' end as mac_addresses,
    case when asset_class <> 'share' then name end as host_name,
    case when asset_class in ('server', 'workstation') then asset_class end as device_class,
    name,
    type,
    os,
    asset_class,
    fqdn,
    protected_machine__serial,
    protected_machine__mac,
    is_archived,
    device__serial_number,
    device__name,
    device__organization_id,
    device__organization_name,
    device__client_company_name,
    device__hidden,
    device__child_reseller,
    nullif(
        concat_ws(
            ', ',
            case when is_paused then 'backups paused' end,
            case
                when last_snapshot = 0
                then 'never backed up'
                when last_snapshot is not null
                then
                    'no backup since '
                    || cast(cast({{ from_epoch("last_snapshot") }} as date) as {{ dbt.type_string() }})
            end
        ),
        ''
    ) as mark,
    1 as unit_count,
    'device' as unit,
    valid_from,
    known_valid_to as valid_to

from versions
