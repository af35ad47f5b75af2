{# A failing row lacks a value every row must have. #}
{% test is_never_empty(model, columns) %}
    select {{ columns | join(", ") }}
    from {{ model }}
    where {% for column in columns %} {{ column }} is null{% if not loop.last %} or {% endif %} {% endfor %}

{% endtest %}
