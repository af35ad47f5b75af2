-- Which patterns fit which class of records. The field is data, so each endpoint looks its columns up by name.
{% for e in countable_endpoints() %}
    {% set looked_at -%}
        case patterns.field {% for field in e.fields %} when '{{ field }}' then classes.{{ field }} {% endfor %} end
    {%- endset %}
    select
        classes.vendor,
        '{{ e.endpoint }}' as endpoint,
        classes.class_text,
        patterns.pattern_key,
        patterns.purpose,
        patterns.names,
        patterns.field,
        {{ looked_at }} as value,
        patterns.pattern,
        patterns.is_literal,
        patterns.specificity,
        patterns.priority,
        patterns.effective_from,
        patterns.effective_to
    from
        (
            select
                {{ vendor_of(e) }} as vendor,
                {{ class_text(e, "records", "patterned") }} as class_text,
                {% for field in e.fields %}
                    max(case when patterned.has_{{ field }} = 1 then lower(records.{{ field }}) end) as {{ field }}
                    {% if not loop.last %},{% endif %}
                {% endfor %}
            from {{ ref("stg_" ~ e.vendor ~ "__" ~ e.endpoint) }} as records
            cross join {{ fields_with_patterns(e) }} as patterned
            group by {{ vendor_of(e) }}, {{ class_text(e, "records", "patterned") }}
        ) as classes
    inner join
        {{ ref("int_patterns") }} as patterns
        on patterns.vendor = classes.vendor
        and patterns.endpoint = '{{ e.endpoint }}'
        and {{ looked_at }} like patterns.like_pattern escape '!'
    {% if not loop.last %}
        union all
    {% endif %}
{% endfor %}
