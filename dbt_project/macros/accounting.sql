{# One list of an accounting system, over all there are: rows of the connections this book is invoiced from. #}
{% macro accounting_rows(list, columns) %}
    {% for system in var("accounting") %}
        select '{{ system.vendor }}' as vendor, {{ columns | join(", ") }}, valid_to
        from {{ ref("stg_" ~ system.vendor ~ "__" ~ system[list]) }}
        where {{ is_connected() }}
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}
{% endmacro %}

{# Our reference in the note of a document we made; nothing in the note of one we did not make. #}
{% macro marked_reference(note) -%}
    nullif({{ dbt.split_part(dbt.split_part(note, "'Morton '", 2), "':'", 1) }}, '')
{%- endmacro %}

{# The lists that must be fresh before anything is said of what was invoiced. #}
{% macro accounting_lists() -%}
    (
        {%- for system in var("accounting") -%}
            '{{ system.documents }}', '{{ system.lines }}'{{ ", " if not loop.last }}
        {%- endfor -%}
    )
{%- endmacro %}
