{# A failing row is a combination of these columns that stands there more than once. What is only ever added to is looked
   at where it is newest, by a column: the rest was looked at then. #}
{% test is_unique_by(model, columns, newest_by=none) %}
    select {{ columns | join(", ") }}, count(*) as times
    from {{ model }}
    {% if newest_by %} where {{ newest_by }} = (select max({{ newest_by }}) from {{ model }}) {% endif %}
    group by {{ columns | join(", ") }}
    having count(*) > 1
{% endtest %}
