{# A failing row begins on a day that an earlier one, of the same columns, tells of already. #}
{% test is_told_once(model, columns, first_on, last_on) %}
    select {{ columns | join(", ") }}, {{ first_on }}
    from
        (
            select
                *, lag({{ last_on }}) over (partition by {{ columns | join(", ") }} order by {{ first_on }}) as told_to
            from {{ model }}
        ) as placed
    where {{ first_on }} <= told_to or {{ first_on }} > {{ last_on }}
{% endtest %}
