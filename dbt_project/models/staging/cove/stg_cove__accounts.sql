with versions as ({{ known_versions(source("cove", "accounts")) }})

select
    connection_id,
    tenant_id,
    record_key,
    account_id,
    partner_id,
    account_id as record_id,
    partner_id as company_id,
    -- Cove tells neither a machine's serial number nor its addresses.
    cast(null as {{ dbt.type_string() }}) as serial_number,
    cast(null as {{ dbt.type_string() }}) as mac_addresses,
    computer_name as host_name,
    coalesce(computer_name, device_name, account_id) as record_name,
    account_class as sku,
    case
        account_class
        when 'server'
        then 'Server'
        when 'workstation'
        then 'Workstation'
        when 'documents'
        then 'Machine with documents only'
        when 'm365'
        then 'Microsoft 365 users'
        when 'undefined'
        then 'Machine of a kind not known yet'
        else account_class
    end as sku_name,
    -- One Microsoft 365 account stands for many people, none of whom it names.
    case when account_class <> 'm365' then record_key end as person_key,
    partner_name,
    partner_level,
    partner_state,
    device_name,
    computer_name,
    account_type,
    account_class,
    price_class,
    case when account_class in ('server', 'workstation') then account_class end as device_class,
    os_type,
    os_version,
    physicality,
    product_name,
    nullif(
        concat_ws(
            ', ',
            case when not has_reported then 'has never reported' end,
            case
                when last_report is not null
                then 'silent since ' || cast(cast({{ from_epoch("last_report") }} as date) as {{ dbt.type_string() }})
            end
        ),
        ''
    ) as mark,
    unit_count,
    case when account_class = 'm365' then 'user' else 'device' end as unit,
    {{ from_epoch("created") }} as created_at,
    valid_from,
    known_valid_to as valid_to

from versions
