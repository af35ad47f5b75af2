{# How numbers are written in a sentence a person reads out to a client. #}
{# 47.0000 → 47, 2.5000 → 2.5 #}
{% macro say_quantity(quantity) -%}
    case
        when {{ quantity }} = floor({{ quantity }})
        then cast(cast({{ quantity }} as bigint) as {{ dbt.type_string() }})
        else rtrim(cast({{ quantity }} as {{ dbt.type_string() }}), '0')
    end
{%- endmacro %}

{# The first of October 2026 → 2026-10 #}
{% macro say_month(month) -%} substr(cast({{ month }} as {{ dbt.type_string() }}), 1, 7) {%- endmacro %}

{# gigabyte → gigabytes, for what is counted in. #}
{% macro say_units(unit) -%}
    case {{ unit }} when 'mailbox' then 'mailboxes' when 'other' then 'units of its own' else {{ unit }} || 's' end
{%- endmacro %}

{# The name a tool goes by in sentences. It is looked up where it is said: every column has its own tool. #}
{% macro vendor_title(vendor) -%}
    coalesce(
        (select max(tools.title) from {{ ref("stg_morton__tools") }} as tools where tools.tool = {{ vendor }}),
        {{ vendor }}
    )
{%- endmacro %}

{# 315.0000 → 315.00 USD, 1500.0000 → 1500 JPY #}
{% macro say_money(amount, currency) -%}
    case
        {{ currency_digits(currency) }}
        when 0
        then cast(cast({{ amount }} as decimal(18, 0)) as {{ dbt.type_string() }})
        when 3
        then cast(cast({{ amount }} as decimal(18, 3)) as {{ dbt.type_string() }})
        else cast(cast({{ amount }} as decimal(18, 2)) as {{ dbt.type_string() }})
    end
    || ' '
    || {{ currency }}
{%- endmacro %}

{# The digits a currency is counted in. #}
{% macro currency_digits(currency) -%}
    case
        when
            {{ currency }} in (
                'BIF',
                'CLP',
                'DJF',
                'GNF',
                'ISK',
                'JPY',
                'KMF',
                'KRW',
                'PYG',
                'RWF',
                'UGX',
                'VND',
                'VUV',
                'XAF',
                'XOF',
                'XPF'
            )
        then 0
        when {{ currency }} in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND')
        then 3
        else 2
    end
{%- endmacro %}

{# Money, rounded once, half away from zero, to its currency's own digits. #}
{% macro round_money(amount, currency) -%}
    -- Each branch is cast by itself: engines differ in the type they give a case over decimals of several scales.
    case
        {{ currency_digits(currency) }}
        when 0
        then cast(round(cast({{ amount }} as decimal(28, 8)), 0) as decimal(18, 4))
        when 3
        then cast(round(cast({{ amount }} as decimal(28, 8)), 3) as decimal(18, 4))
        else cast(round(cast({{ amount }} as decimal(28, 8)), 2) as decimal(18, 4))
    end
{%- endmacro %}
