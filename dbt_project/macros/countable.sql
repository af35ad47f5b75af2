{# The endpoints whose records can be counted. A vendor's primary endpoint is what it is connected for; the records of
   another one count only where a mapping names that endpoint. `fields` are the columns a mapping or a rule may look at. #}
{% macro countable_endpoints() -%}
    {{
        return(
            [
                {
                    "vendor": "ninjaone",
                    "endpoint": "devices",
                    "is_primary": true,
                    "fields": [
                        "id",
                        "uid",
                        "organization_id",
                        "location_id",
                        "node_class",
                        "node_role_id",
                        "approval_status",
                        "display_name",
                        "system_name",
                        "dns_name",
                        "parent_device_id",
                    ],
                },
                {
                    "vendor": "huntress",
                    "endpoint": "agents",
                    "is_primary": true,
                    "fields": [
                        "id",
                        "organization_id",
                        "hostname",
                        "platform",
                        "os",
                        "serial_number",
                        "mac_addresses",
                    ],
                },
                {
                    "vendor": "microsoft365",
                    "endpoint": "user_licenses",
                    "is_primary": true,
                    "fields": [
                        "user_id",
                        "sku_id",
                        "sku_part_number",
                        "user_principal_name",
                        "display_name",
                        "user_type",
                        "user_purpose",
                        "capability_status",
                    ],
                },
                {
                    "vendor": "microsoft365",
                    "endpoint": "subscribed_skus",
                    "is_primary": false,
                    "fields": ["id", "sku_id", "sku_part_number", "capability_status", "applies_to"],
                },
            ]
        )
    }}
{%- endmacro %}

{# The staging column that carries a raw field: staging renames a few. #}
{% macro staged_field(field) -%}
    {{ return({"id": "record_id", "organization_id": "company_id", "user_id": "record_id"}.get(field, field)) }}
{%- endmacro %}

{# Which columns of an endpoint's records any pattern looks at: one row with a 1 or nothing for each. #}
{% macro fields_with_patterns(e) -%}
    (
        select
            {% for field in e.fields %}
                max(case when field = '{{ field }}' then 1 end) as has_{{ field }}{% if not loop.last %},{% endif %}
            {% endfor %}
        from {{ ref("int_patterns") }}
        where vendor = '{{ e.vendor }}' and endpoint = '{{ e.endpoint }}'
    )
{%- endmacro %}

{# All that patterns look at in a record, as one text: records with the same text fall into the same class, and there are
   far fewer texts than records. The separator is doubled inside values, so no two records read the same by accident. #}
{% macro class_text(e, records, patterned) -%}
    concat_ws(
        '|'
        {%- for field in e.fields %}
            ,
            case
                when {{ patterned }}.has_{{ field }} = 1
                then '{{ field }}=' || replace(lower({{ records }}.{{ staged_field(field) }}), '|', '||')
            end
        {%- endfor %}
    )
{%- endmacro %}
