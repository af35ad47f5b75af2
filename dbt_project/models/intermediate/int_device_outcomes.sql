-- What is known of each machine in each other kind of tool: listed there, ambiguous, or absent.
with

    outcomes as (
        select
            record_path,
            partner_category,
            max(case when is_match then 1 else 0 end) = 1 as is_listed,
            max(case when is_match then partner_class end) as partner_class
        from {{ ref("int_device_partners") }}
        group by record_path, partner_category
    ),

    ranked as (
        select
            record_path,
            min(partner_rank) as first_rank,
            max(case when is_match then partner_class end) as partner_class,
            max(case when is_match and partner_category = 'backup' then 1 else 0 end) = 1 as is_backed_up
        from {{ ref("int_device_partners") }}
        group by record_path
    )

select
    devices.record_path,
    devices.client_id,
    devices.category,
    -- A machine that several tools list is told of once, by the first of them.
    coalesce(ranked.first_rank > devices.category_rank, true) as is_first,
    coalesce(devices.device_class, ranked.partner_class) as device_class,
    -- A tool that tells classes apart and names none says that it is none of them, such as a host of virtual machines.
    case
        when devices.is_declared then coalesce(devices.device_class, ranked.partner_class) else devices.device_class
    end as own_class,
    coalesce(ranked.is_backed_up, false) or devices.category = 'backup' as is_backed_up,
    {% for category in ["rmm", "security", "backup"] %}
        case
            when devices.category = '{{ category }}' or {{ category }}.is_listed
            then 'listed'
            when {{ category }}.record_path is not null
            then 'ambiguous'
            else 'absent'
        end as in_{{ category }}
        {% if not loop.last %},{% endif %}
    {% endfor %}
from {{ ref("int_devices_unioned") }} as devices
left join ranked on ranked.record_path = devices.record_path
{% for category in ["rmm", "security", "backup"] %}
    left join
        outcomes as {{ category }}
        on {{ category }}.record_path = devices.record_path
        and {{ category }}.partner_category = '{{ category }}'
{% endfor %}
