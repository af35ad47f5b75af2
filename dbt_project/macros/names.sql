{# Schemas are named as they are configured: finance queries marts.discrepancies, not main_marts.discrepancies. #}
{% macro generate_schema_name(custom_schema_name, node) -%} {{ custom_schema_name or target.schema }} {%- endmacro %}
