-- What a machine may be recognised by, one row per device, step and value: its serial number, its network addresses,
-- its host name. Values that many machines of one list share are none: a maker's placeholder, the address of a dock.
with

    devices as (select * from {{ ref("int_devices_unioned") }}),

    addresses as (
        select client_id, list_key, record_path, translate(lower(address), ':-. ', '') as address
        from
            (
                select client_id, list_key, record_path, {{ each_text("mac_addresses") }} as address
                from devices
                where mac_addresses is not null
            ) as exploded
    ),

    hosts as (
        select client_id, list_key, record_path, trim(lower({{ dbt.split_part("host_name", "'.'", 1) }})) as host
        from devices
        -- An address is no name.
        where translate(host_name, '0123456789.', '') <> ''
    ),

    keys as (
        select client_id, list_key, record_path, 'serial' as step, {{ usable_serial("serial_number") }} as key_text
        from devices
        union
        -- Only addresses a maker burned in: others are made up by the system, anew or the same everywhere.
        select client_id, list_key, record_path, 'address' as step, address as key_text
        from addresses
        where
            length(address) = 12
            and substr(address, 2, 1) in ('0', '4', '8', 'c')
            and translate(address, '0', '') <> ''
            and translate(address, 'f', '') <> ''
        union
        select client_id, list_key, record_path, 'name' as step, host as key_text
        from hosts
        where host not in ('', 'localhost', 'unknown', 'none', 'n/a')
    ),

    shared as (
        select *, count(*) over (partition by list_key, step, key_text) as machines from keys where key_text is not null
    )

select client_id, list_key, record_path, step, key_text
from shared
where step = 'name' or machines <= 3
