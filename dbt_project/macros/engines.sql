{# What engines say differently. Everything else in this project is SQL they share. #}
{# The calendar day of a UTC timestamp in a time zone. #}
{% macro local_date(at, time_zone) -%} {{ return(adapter.dispatch("local_date")(at, time_zone)) }} {%- endmacro %}
{% macro duckdb__local_date(at, time_zone) -%}
    cast(({{ at }} at time zone 'UTC') at time zone {{ time_zone }} as date)
{%- endmacro %}
{% macro spark__local_date(at, time_zone) -%} to_date(from_utc_timestamp({{ at }}, {{ time_zone }})) {%- endmacro %}

{# One row per day from the first to the last, both counted; used in a select list. #}
{% macro each_day(first_on, last_on) -%} {{ return(adapter.dispatch("each_day")(first_on, last_on)) }} {%- endmacro %}
{% macro duckdb__each_day(first_on, last_on) -%}
    cast(unnest(generate_series({{ first_on }}, {{ last_on }}, interval 1 day)) as date)
{%- endmacro %}
{% macro spark__each_day(first_on, last_on) -%}
    explode(sequence({{ first_on }}, {{ last_on }}, interval 1 day))
{%- endmacro %}

{# A timestamp from epoch seconds, in UTC. #}
{% macro from_epoch(seconds) -%} {{ return(adapter.dispatch("from_epoch")(seconds)) }} {%- endmacro %}
{% macro duckdb__from_epoch(seconds) -%} make_timestamp(cast({{ seconds }} * 1000000 as bigint)) {%- endmacro %}
{% macro spark__from_epoch(seconds) -%} timestamp_micros(cast({{ seconds }} * 1000000 as bigint)) {%- endmacro %}

{# A UTC timestamp from an ISO instant. #}
{% macro from_iso(text) -%} {{ return(adapter.dispatch("from_iso")(text)) }} {%- endmacro %}
{% macro duckdb__from_iso(text) -%}
    cast(cast({{ text }} as timestamp with time zone) at time zone 'UTC' as timestamp)
{%- endmacro %}
{% macro spark__from_iso(text) -%} to_utc_timestamp(cast({{ text }} as timestamp), current_timezone()) {%- endmacro %}

{# One row per text of a JSON list; used in a select list. What is no list has none. #}
{% macro each_text(json) -%} {{ return(adapter.dispatch("each_text")(json)) }} {%- endmacro %}
{% macro duckdb__each_text(json) -%}
    unnest(json_extract_string(case when json_valid({{ json }}) then {{ json }} end, '$[*]'))
{%- endmacro %}
{% macro spark__each_text(json) -%} explode(from_json({{ json }}, 'array<string>')) {%- endmacro %}

{# The SHA-256 of a text, in hexadecimal. #}
{% macro sha256(text) -%} {{ return(adapter.dispatch("sha256")(text)) }} {%- endmacro %}
{% macro duckdb__sha256(text) -%} sha256({{ text }}) {%- endmacro %}
{% macro spark__sha256(text) -%} sha2({{ text }}, 256) {%- endmacro %}
