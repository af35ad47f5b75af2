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

    -- Who is without a backup is looked for among servers, and among the machines of a class of which any is
    -- backed up; at a client without servers and without a backup, among all.
    classes as (
        select
            client_id,
            device_class,
            sum(case when is_backed_up then 1 else 0 end) as machines,
            max(case when device_class = 'server' then 1 else 0 end) over (partition by client_id) as has_servers,
            sum(sum(case when is_backed_up then 1 else 0 end)) over (partition by client_id) as all_machines
        from {{ ref("int_device_outcomes") }}
        where is_first and device_class is not null
        group by client_id, device_class
    ),

    backed_up as (
        select client_id, device_class, machines
        from classes
        where device_class = 'server' or machines > 0 or (has_servers = 0 and all_machines = 0)
    ),

    absent as (
        select outcomes.*, 'no_edr' as gap, 'security' as wanted
        from {{ ref("int_device_outcomes") }} as outcomes
        where category = 'rmm' and in_security = 'absent' and own_class is not null
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
            -- What another tool counts there, and does not name, may be this machine.
            case
                when counted.titles is not null then replace(absent.gap, 'no_', 'undecided_') else absent.gap
            end as gap,
            coalesce(counted.titles, expected.titles) as titles,
            expected.fresh_until_at,
            expected.expected_because || case
                when absent.gap = 'no_backup' and backed_up.machines > 0
                then
                    ', and machines of this class are backed up by name: '
                    || cast(backed_up.machines as {{ dbt.type_string() }})
                when absent.gap = 'no_backup'
                then ', and no machine of this class is backed up by name'
                else ''
            end as expected_because
        from absent
        inner join expected on expected.client_id = absent.client_id and expected.category = absent.wanted
        left join
            {{ ref("int_coverage_counted") }} as counted
            on counted.client_id = absent.client_id
            and counted.category = absent.wanted
        left join backed_up on backed_up.client_id = absent.client_id and backed_up.device_class = absent.device_class
        where
            (absent.gap <> 'no_rmm' or expected.is_contracted)
            and (absent.gap <> 'no_backup' or backed_up.device_class is not null)
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
