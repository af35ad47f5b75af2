-- The machines clients have, as each tool lists them now, but for those a vendor's rule sets aside, and for
-- records that carry nothing a machine could be recognised by: an account of a whole tenant is no machine.
with

    clients as (select * from {{ ref("int_clients") }} where status <> 'internal'),

    records as (
        {% for d in var("devices") %}
            {% set is_counted = (
                countable_endpoints()
                | selectattr("vendor", "equalto", d.vendor)
                | selectattr("endpoint", "equalto", d.endpoint)
                | list
            ) %}
            select
                {{ vendor_of(d, "devices") }} as vendor,
                '{{ d.endpoint }}' as endpoint,
                devices.connection_id,
                devices.tenant_id,
                devices.connection_id
                || '|'
                || devices.tenant_id
                || '|{{ d.endpoint }}|'
                || devices.record_key as record_path,
                devices.record_id,
                devices.record_name,
                {% if is_counted %} classified.client_id, classified.mark,
                {% else %} companies.client_id, cast(null as {{ dbt.type_string() }}) as mark,
                {% endif %}
                devices.serial_number,
                devices.mac_addresses,
                devices.host_name,
                devices.device_class,
                devices.valid_from,
                devices.valid_to
            from {{ ref("stg_" ~ d.vendor ~ "__" ~ d.endpoint) }} as devices
            {% if is_counted %}
                inner join
                    {{ ref("int_records_classified") }} as classified
                    on classified.vendor = {{ vendor_of(d, "devices") }}
                    and classified.record_path
                    = devices.connection_id || '|' || devices.tenant_id || '|{{ d.endpoint }}|' || devices.record_key
                    and classified.is_current
                    and classified.rule_name is null
            {% else %}
                inner join
                    {{ ref("company_mappings") }} as companies
                    on companies.connection_id = devices.connection_id
                    and lower(companies.company_id) = lower(devices.company_id)
                    and companies.pattern is null
                inner join
                    clients
                    on clients.client_id = companies.client_id
                    and {{ is_in_force("clients.today_on", "companies.effective_from", "companies.effective_to") }}
                where devices.{{ is_connected() }}
            {% endif %}
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    firsts as (select record_path, min(valid_from) as first_at from records group by record_path)

select
    scopes.category,
    scopes.declared_as is not null as is_declared,
    {{ category_rank("scopes.category") }} as category_rank,
    records.vendor,
    records.endpoint,
    records.connection_id,
    records.connection_id || '|' || records.endpoint as list_key,
    records.record_path,
    records.record_id,
    records.record_name,
    records.client_id,
    clients.client_name,
    records.mark,
    records.serial_number,
    records.mac_addresses,
    records.host_name,
    records.device_class,
    {{ local_date("firsts.first_at", "clients.time_zone") }} as since_on
from records
inner join clients on clients.client_id = records.client_id
inner join firsts on firsts.record_path = records.record_path
inner join
    {{ ref("stg_morton__scopes") }} as scopes
    on scopes.connection_id = records.connection_id
    and scopes.tenant_id = records.tenant_id
    and scopes.endpoint = records.endpoint
    -- A tool that is declared may name machines and be about something else.
    and scopes.category in ('rmm', 'security', 'backup')
where
    records.valid_to is null
    and coalesce(nullif(trim(records.host_name), ''), records.serial_number, records.mac_addresses) is not null
