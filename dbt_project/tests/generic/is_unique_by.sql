{# A failing row is a combination of these columns that stands there more than once. #}
{% test is_unique_by(model, columns) %}
    select {{ columns | join(", ") }}, count(*) as times
    from {{ model }}
    group by {{ columns | join(", ") }}
    having count(*) > 1
{% endtest %}
