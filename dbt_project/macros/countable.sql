{# The lists of dbt_project.yml: which endpoints are counted, which list companies, which list devices. #}
{% macro countable_endpoints() -%} {{ return(var("countable")) }} {%- endmacro %}

{# The tool a record was counted by: the vendor, but for connections that declare their own, where each is its own. #}
{% macro vendor_of(e, records="records") -%}
    {%- if e.is_declared -%} {{ records }}.vendor {%- else -%} '{{ e.vendor }}' {%- endif -%}
{%- endmacro %}

{# Whether patterns are about an endpoint: by its vendor, or by any of the tools that were declared. #}
{% macro is_about(e, patterns) -%}
    {%- if e.is_declared -%}
        {{ patterns }}.vendor
        in (select vendor from {{ ref("stg_morton__scopes") }} where declared_as = '{{ e.vendor }}')
    {%- else -%} {{ patterns }}.vendor = '{{ e.vendor }}'
    {%- endif -%} and {{ patterns }}.endpoint = '{{ e.endpoint }}'
{%- endmacro %}

{# Whether an endpoint is of a vendor that only lists what was bought: its staging carries partner_cost, currency,
   billing_term, commitment_ends_on and product_id, and there are stagings of its products, invoices and their items. #}
{% macro is_distributor(e) -%}
    {%- set others = (
        countable_endpoints()
        | selectattr("vendor", "equalto", e.vendor)
        | rejectattr("counts", "equalto", "purchased")
        | list
    ) -%}
    {{ return(not others) }}
{%- endmacro %}

{# Whether a record is a person, whose name a client is shown only where its contract says so. #}
{% macro is_personal(records) -%}
    (
        {{ records }}.vendor || '|' || {{ records }}.endpoint in (
            {%- for e in countable_endpoints() if e.names_people -%}
                '{{ e.vendor }}|{{ e.endpoint }}'{{ ", " if not loop.last }}
            {%- endfor -%}
        )
        or (
            {{ is_declared_tool(records ~ ".vendor") }}
            and ({{ records }}.unit in ('user', 'licence', 'mailbox') or {{ records }}.person_key is not null)
        )
    )
{%- endmacro %}

{# Whether any record of a tool could be a person: what is said of one that cannot be looked up any more. #}
{% macro may_be_personal(vendor) -%}
    (
        {{ vendor }} in (
            {%- for e in countable_endpoints() if e.names_people -%}
                '{{ e.vendor }}'{{ ", " if not loop.last }}
            {%- endfor -%}
        )
        or {{ is_declared_tool(vendor) }}
    )
{%- endmacro %}

{# Whether connections.yaml declares a tool itself. #}
{% macro is_declared_tool(vendor) -%}
    {{ vendor }}
    in (select tools.vendor from {{ ref("stg_morton__scopes") }} as tools where tools.declared_as is not null)
{%- endmacro %}

{# What a person must do before approving what a tool counts, as a further sentence; nothing for most tools. #}
{% macro say_caveat(vendor) -%}
    case
        {{ vendor }}
        {%- for e in countable_endpoints() if e.caveat %} when '{{ e.vendor }}' then ' {{ e.caveat }}' {%- endfor %}
        else ''
    end
{%- endmacro %}

{# How tools are ranked where one machine is listed by several: the first is the one it is known by. #}
{% macro category_rank(category) -%}
    case {{ category }} when 'rmm' then 1 when 'security' then 2 else 3 end
{%- endmacro %}

{# Which columns of an endpoint's records any pattern looks at: one row with a 1 or nothing for each. #}
{% macro fields_with_patterns(e) -%}
    (
        select
            {% for field in e.fields %}
                max(case when field = '{{ field }}' then 1 end) as has_{{ field }}{% if not loop.last %},{% endif %}
            {% endfor %}
        from {{ ref("int_patterns") }} as patterns
        where {{ is_about(e, "patterns") }}
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
                then '{{ field }}=' || replace(lower({{ records }}.{{ field }}), '|', '||')
            end
        {%- endfor %}
    )
{%- endmacro %}

{# May records counted in one unit stand for a service sold in another? Nothing said, or `other`, goes with anything. #}
{% macro units_fit(record_unit, service_unit) -%}
    (
        {{ record_unit }} is null
        or {{ service_unit }} is null
        or {{ service_unit }} = 'other'
        or {{ record_unit }} = {{ service_unit }}
        or ({{ record_unit }} in ('device', 'agent') and {{ service_unit }} in ('device', 'agent'))
        or ({{ record_unit }} in ('user', 'licence') and {{ service_unit }} in ('user', 'licence'))
    )
{%- endmacro %}
