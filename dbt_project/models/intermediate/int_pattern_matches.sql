-- Which patterns fit which record version. The field is data, so each endpoint looks its columns up by name.
{% for e in countable_endpoints() %}
select
    records.connection_id || '|' || records.tenant_id || '|{{ e.endpoint }}|' || records.record_key as record_path,
    records.valid_from,
    patterns.pattern_key,
    patterns.purpose,
    patterns.names,
    patterns.field,
    patterns.pattern,
    patterns.is_literal,
    patterns.priority,
    patterns.effective_from,
    patterns.effective_to
from {{ ref('stg_' ~ e.vendor ~ '__' ~ e.endpoint) }} as records
inner join {{ ref('int_patterns') }} as patterns
    on
        patterns.vendor = '{{ e.vendor }}'
        and patterns.endpoint = '{{ e.endpoint }}'
        and lower(
            case patterns.field
                {% for field in e.fields %}
                when '{{ field }}' then records.{{ staged_field(field) }}
                {% endfor %}
            end
        ) like patterns.like_pattern escape '!'
{% if not loop.last %}union all{% endif %}
{% endfor %}
