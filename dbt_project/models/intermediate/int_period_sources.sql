-- For each period of each service: which day measures it, and how far its sources can be trusted.
with

    scoped as (
        select
            periods.client_id,
            periods.period_month,
            periods.is_open,
            periods.last_on,
            scopes.service_id,
            scopes.vendor,
            scopes.connection_id,
            scopes.endpoint,
            scopes.tenant_id,
            scopes.time_zone,
            scopes.state,
            scopes.last_complete_at,
            cast(ceil(scopes.allowed_age_minutes / 1440.0) as integer) as allowed_days
        from {{ ref("int_periods") }} as periods
        inner join
            {{ ref("int_client_scopes") }} as scopes
            on scopes.client_id = periods.client_id
            and scopes.effective_from <= periods.last_on
            and scopes.effective_to > periods.last_on
    ),

    -- The readings of a list around the end of each month: the last before, and the first after it.
    marks as (
        select
            connection_id, endpoint, tenant_id, time_zone, complete_on as mark_on, 0 as is_end, complete_on, complete_at
        from {{ ref("int_complete_days") }}
        union all
        select distinct
            connection_id,
            endpoint,
            tenant_id,
            time_zone,
            last_on as mark_on,
            1 as is_end,
            cast(null as date) as complete_on,
            cast(null as timestamp) as complete_at
        from scoped
    ),

    {% set in_order = "partition by connection_id, endpoint, tenant_id, time_zone order by mark_on, is_end" %}
    {% set before = in_order ~ " rows between unbounded preceding and current row" %}
    {% set after = in_order ~ " rows between 1 following and unbounded following" %}
    around as (
        select
            connection_id,
            endpoint,
            tenant_id,
            time_zone,
            mark_on,
            is_end,
            max(complete_on) over ({{ before }}) as last_before_on,
            max(complete_at) over ({{ before }}) as last_before_at,
            min(complete_on) over ({{ after }}) as first_after_on,
            min(complete_at) over ({{ after }}) as first_after_at
        from marks
    ),

    readings as (
        select
            scoped.client_id,
            scoped.service_id,
            scoped.vendor,
            scoped.period_month,
            scoped.is_open,
            scoped.last_on,
            scoped.allowed_days,
            scoped.state,
            scoped.last_complete_at,
            around.last_before_on,
            around.last_before_at,
            around.first_after_on,
            around.first_after_at
        from scoped
        inner join
            around
            on around.connection_id = scoped.connection_id
            and around.endpoint = scoped.endpoint
            and around.tenant_id = scoped.tenant_id
            and around.time_zone = scoped.time_zone
            and around.mark_on = scoped.last_on
            and around.is_end = 1
    ),

    judged as (
        select
            *,
            not is_open
            and last_before_on is not null
            and {{ dbt.datediff("last_before_on", "last_on", "day") }} > allowed_days
            and first_after_on is not null as is_late,
            case
                when is_open
                then state in ('known', 'zero')
                else
                    last_before_on is not null
                    and (
                        {{ dbt.datediff("last_before_on", "last_on", "day") }} <= allowed_days
                        or first_after_on is not null
                    )
            end as is_fresh,
            case when is_open then last_complete_at is not null else last_before_on is not null end as is_ever,
            is_open and state = 'partial' as is_partial
        from readings
    )

select
    client_id,
    service_id,
    vendor,
    period_month,
    is_open,
    last_on,
    max(case when is_late then first_after_on else last_on end) as measured_on,
    max(case when is_late then 1 else 0 end) = 1 as is_late_measured,
    min(
        case when is_open then last_complete_at when is_late then first_after_at else last_before_at end
    ) as source_as_of_at,
    -- The day that reading stands for: what began later, nobody has seen.
    min(case when is_late then first_after_on else last_before_on end) as last_seen_on,
    case
        when min(case when is_fresh then 1 else 0 end) = 1
        then 'known'
        when max(case when is_ever or is_partial then 1 else 0 end) = 0
        then 'unknown'
        when max(case when is_fresh or is_partial then 1 else 0 end) = 1
        then 'partial'
        when min(case when is_ever then 1 else 0 end) = 0
        then 'partial'
        else 'stale'
    end as source_state
from judged
group by client_id, service_id, vendor, period_month, is_open, last_on
