{# Rules that several models apply, each in one place. #}
{# The versions of a raw table's records that were known at the instant of this build. #}
{% macro known_versions(relation) -%}
    select
        raw_versions.*,
        case when raw_versions.valid_to <= clock.as_of_at then raw_versions.valid_to end as known_valid_to
    from {{ relation }} as raw_versions
    cross join {{ ref("stg_morton__clock") }} as clock
    where raw_versions.valid_from <= clock.as_of_at
{%- endmacro %}

{# An analyst's glob as a LIKE pattern: * is any text, ? any character, all else itself, without regard to case. #}
{% macro glob_to_like(pattern) -%}
    replace(
        replace(replace(replace(replace(lower({{ pattern }}), '!', '!!'), '%', '!%'), '_', '!_'), '*', '%'), '?', '_'
    )
{%- endmacro %}

{# How much a glob says, to compare: one that names a text outright says most, else it is by how much text it has. #}
{% macro is_literal(pattern) -%} {{ pattern }} not like '%*%' and {{ pattern }} not like '%?%'{%- endmacro %}
{% macro specificity(pattern) -%}
    case when {{ is_literal(pattern) }} then 1000000 else 0 end
    + length(replace(replace({{ pattern }}, '*', ''), '?', ''))
{%- endmacro %}

{# What the contract makes of what is chargeable of an observed quantity. A model that is not listed here never gets this
   far: the seeds are checked. `committed` is what is committed to on the day, or nothing. #}
{% macro billable_quantity(chargeable, contract, committed) -%}
    {%- set by_model -%}
        case
            {{ contract }}.billing_model
            when 'minimum'
            then
                case
                    when {{ chargeable }} > coalesce({{ contract }}.minimum_quantity, 0)
                    then {{ chargeable }}
                    else coalesce({{ contract }}.minimum_quantity, 0)
                end
            when 'included'
            then
                case
                    when {{ chargeable }} > coalesce({{ contract }}.included_quantity, 0)
                    then {{ chargeable }} - coalesce({{ contract }}.included_quantity, 0)
                    else 0
                end
            when 'flat'
            then {{ contract }}.quantity
            -- A block of hours is paid whole, used or not; only what goes beyond it is more.
            when 'block_hours'
            then case when {{ chargeable }} > {{ contract }}.quantity then {{ chargeable }} else {{ contract }}.quantity end
            else {{ chargeable }}
        end
    {%- endset -%}
    cast(case when {{ committed }} > {{ by_model }} then {{ committed }} else {{ by_model }} end as decimal(18, 4))
{%- endmacro %}

{# Does a day fall into a stretch of int_positions? For a join: that of the months is an equality, and cheap. #}
{% macro stands_on(position, on_date) -%}
    {{ position }}.period_month = cast({{ dbt.date_trunc("month", on_date) }} as date)
    and {{ position }}.position_from <= {{ on_date }}
    and {{ position }}.position_to > {{ on_date }}
{%- endmacro %}

{# What the run of a stretch has come to on a day of it, that day counted: in money, or in days of one unit. #}
{% macro amount_by(position, on_date) -%}
    (
        {{ position }}.amount_before
        + {{ position }}.day_amount * ({{ dbt.datediff(position ~ ".position_from", on_date, "day") }} + 1)
    )
{%- endmacro %}
{% macro unit_days_by(position, on_date) -%}
    (
        {{ position }}.unit_days_before
        + {{ position }}.variance_quantity * ({{ dbt.datediff(position ~ ".position_from", on_date, "day") }} + 1)
    )
{%- endmacro %}

{# Which step of a contract's prices a quantity is in; for a join. #}
{% macro is_in_step(quantity, step) -%}
    {{ quantity }} > {{ step }}.is_above and ({{ step }}.top is null or {{ quantity }} <= {{ step }}.top)
{%- endmacro %}

{# What a quantity costs, given the step it is in. #}
{% macro amount_in_step(quantity, step) -%}
    cast({{ step }}.amount_below + ({{ quantity }} - {{ step }}.priced_from) * {{ step }}.unit_price as decimal(28, 8))
{%- endmacro %}

{# The day since which a mark says that something is silent; a mark may say more than that. #}
{% macro silent_since(mark) -%}
    cast(substr({{ mark }}, {{ dbt.position("'silent since '", mark) }} + 13, 10) as date)
{%- endmacro %}

{# Does a date fall into a half-open range whose empty ends are open? #}
{% macro is_in_force(on_date, effective_from, effective_to) -%}
    (
        ({{ effective_from }} is null or {{ effective_from }} <= {{ on_date }})
        and ({{ effective_to }} is null or {{ effective_to }} > {{ on_date }})
    )
{%- endmacro %}

{# The name of a row for life: the same period, client, service and kind have the same one in every build. It begins with
   a letter, so that no spreadsheet takes it for a number. #}
{% macro discrepancy_id(period_month, client, service, kind) -%}
    'd' || substr(
        {{
            sha256(
                "cast("
                ~ period_month
                ~ " as "
                ~ dbt.type_string()
                ~ ") || '|' || "
                ~ client
                ~ " || '|' || "
                ~ service
                ~ " || '|' || "
                ~ kind
            )
        }},
        1,
        11
    )
{%- endmacro %}

{# The kinds of a row that is about what was used, whatever it was called at the time. #}
{% macro usage_kinds() -%}('under_billed', 'over_billed', 'no_contract', 'no_usage') {%- endmacro %}

{# How many days the month of a date has. #}
{% macro days_in_month(on_date) -%} extract(day from {{ dbt.last_day(on_date, "month") }}) {%- endmacro %}

{# A date some days later, still a date. #}
{% macro plus_days(days, on_date) -%} cast({{ dbt.dateadd("day", days, on_date) }} as date) {%- endmacro %}

{# Does a record come through a connection, and a tenant of it, that connections.yaml still names? #}
{% macro is_connected() -%}
    connection_id || '|' || tenant_id
    in (select connection_id || '|' || tenant_id from {{ ref("stg_morton__scopes") }} where is_connected)
{%- endmacro %}

{# How far several lists together can be trusted; used in a grouped select. #}
{% macro combined_state(state, last_complete_at) -%}
    case
        when min(case when {{ state }} in ('known', 'zero') then 1 else 0 end) = 1
        then 'known'
        when max(case when {{ last_complete_at }} is not null or {{ state }} = 'partial' then 1 else 0 end) = 0
        then 'unknown'
        when max(case when {{ state }} in ('known', 'zero', 'partial') then 1 else 0 end) = 1
        then 'partial'
        when min(case when {{ last_complete_at }} is not null then 1 else 0 end) = 0
        then 'partial'
        else 'stale'
    end
{%- endmacro %}

{# A serial number that tells one machine from another, in small letters; what makers leave in its place is none. #}
{% macro usable_serial(serial) -%}
    case
        when
            lower(trim({{ serial }})) not in (
                '',
                '0',
                '0123456789',
                '123456789',
                '1234567890',
                'chassis serial number',
                'default string',
                'empty',
                'invalid',
                'n/a',
                'na',
                'none',
                'not applicable',
                'not available',
                'not specified',
                'null',
                'o.e.m.',
                'oem',
                'serial number',
                'standard',
                'system serial number',
                'to be filled by o.e.m.',
                'to be filled by oem',
                'undefined',
                'unknown'
            )
            and translate(lower({{ serial }}), '0x.- ', '') <> ''
        then lower(trim({{ serial }}))
    end
{%- endmacro %}
