{# How numbers are written in a sentence a person reads out to a client. #}
{# 47.0000 → 47, 2.5000 → 2.5 #}
{% macro say_quantity(quantity) -%}
    case
        when {{ quantity }} = floor({{ quantity }})
        then cast(cast({{ quantity }} as bigint) as {{ dbt.type_string() }})
        else rtrim(cast({{ quantity }} as {{ dbt.type_string() }}), '0')
    end
{%- endmacro %}

{# gigabyte → gigabytes, for what is counted in. #}
{% macro say_units(unit) -%}
    case {{ unit }} when 'mailbox' then 'mailboxes' when 'other' then 'units of its own' else {{ unit }} || 's' end
{%- endmacro %}

{# The names vendors write themselves by; a tool that was declared is called as it was declared. #}
{% macro vendor_title(vendor) -%}
    case
        {{ vendor }}
        {%- for name, title in vendor_titles().items() %} when '{{ name }}' then '{{ title }}' {%- endfor %}
        else {{ vendor }}
    end
{%- endmacro %}

{% macro vendor_titles() -%}
    {{
        return(
            {
                "ninjaone": "NinjaOne",
                "datto_rmm": "Datto RMM",
                "huntress": "Huntress",
                "sentinelone": "SentinelOne",
                "microsoft365": "Microsoft 365",
                "google_workspace": "Google Workspace",
                "pax8": "Pax8",
                "datto_bcdr": "Datto BCDR",
                "acronis": "Acronis",
                "cove": "N-able Cove Data Protection",
                "veeam_spc": "Veeam Service Provider Console",
                "quickbooks_online": "QuickBooks Online",
                "xero": "Xero",
            }
        )
    }}
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
