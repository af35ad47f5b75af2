-- Machines that one kind of tool lists and another, expected there too, does not; and those where nobody can tell.
with

    -- What is expected, and was read: a list that is missing never looks like a gap.
    expected as (
        select
            expected.client_id,
            expected.category,
            expected.is_contracted,
            expected.expected_because,
            sources.titles,
            sources.fresh_until_at
        from {{ ref("int_coverage_expected") }} as expected
        inner join
            {{ ref("int_coverage_sources") }} as sources
            on sources.client_id = expected.client_id
            and sources.category = expected.category
            and sources.source_state = 'known'
    ),

    -- A backup tool that names machines of a class at a client can miss one; where it names none it only counts.
    protected as (
        select client_id, device_class, count(*) as machines
        from {{ ref("int_device_outcomes") }}
        where is_first and is_backed_up and device_class is not null
        group by client_id, device_class
    ),

    absent as (
        select outcomes.*, 'no_edr' as gap, 'security' as wanted
        from {{ ref("int_device_outcomes") }} as outcomes
        where category = 'rmm' and in_security = 'absent' and device_class is not null
        union all
        select outcomes.*, 'no_rmm' as gap, 'rmm' as wanted
        from {{ ref("int_device_outcomes") }} as outcomes
        where is_first and in_rmm = 'absent'
        union all
        select outcomes.*, 'no_backup' as gap, 'backup' as wanted
        from {{ ref("int_device_outcomes") }} as outcomes
        where is_first and in_backup = 'absent'
    ),

    gaps as (
        select
            absent.client_id,
            absent.record_path,
            absent.device_class,
            absent.gap,
            expected.titles,
            expected.fresh_until_at,
            expected.expected_because || case
                when absent.gap = 'no_backup'
                then
                    ', and machines of this class are backed up by name: '
                    || cast(protected.machines as {{ dbt.type_string() }})
                else ''
            end as expected_because
        from absent
        inner join expected on expected.client_id = absent.client_id and expected.category = absent.wanted
        left join protected on protected.client_id = absent.client_id and protected.device_class = absent.device_class
        where
            (absent.gap <> 'no_rmm' or expected.is_contracted)
            and (absent.gap <> 'no_backup' or protected.machines is not null)
    ),

    -- Told of by the first tool, whichever side looks for the other.
    unclear as (
        {% for category in ["security", "backup"] %}
            {% for wanted in [category, "rmm"] %}
                select
                    outcomes.client_id,
                    outcomes.record_path,
                    outcomes.device_class,
                    '{{ category }}' as category,
                    expected.fresh_until_at,
                    expected.expected_because
                from {{ ref("int_device_outcomes") }} as outcomes
                inner join expected on expected.client_id = outcomes.client_id and expected.category = '{{ wanted }}'
                where
                    outcomes.is_first and outcomes.in_{{ category }} = 'ambiguous'
                    {% if wanted == "rmm" %} and outcomes.category = 'rmm' and expected.is_contracted {% endif %}
                {% if not loop.last %}
                    union all
                {% endif %}
            {% endfor %}
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    )

select client_id, record_path, device_class, gap, titles, fresh_until_at, expected_because || '.' as expected_because
from gaps
union all
select
    client_id,
    record_path,
    max(device_class) as device_class,
    'ambiguous' as gap,
    cast(null as {{ dbt.type_string() }}) as titles,
    min(fresh_until_at) as fresh_until_at,
    min(expected_because) || '.' as expected_because
from unclear
group by client_id, record_path
