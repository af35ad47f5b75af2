{# A failing row carries a word this column does not know. #}
{% test is_one_of(model, column_name, words) %}
    select {{ column_name }}
    from {{ model }}
    where
        {{ column_name }} is not null
        and {{ column_name }}
        not in ({% for word in words %}'{{ word }}'{% if not loop.last %}, {% endif %} {% endfor %})
{% endtest %}
