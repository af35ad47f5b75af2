with

    names as (
        select
            partners.*,
            {{ vendor_title("partner_vendor") }} || ': ' || partner_name as called,
            case
                matched_by when 'serial' then 'serial number' when 'address' then 'network address' else 'host name'
            end as evidence,
            max(case when is_match then 1 else 0 end) over (partition by record_path, partner_category)
            = 1 as is_listed,
            row_number() over (
                partition by record_path, is_match order by partner_rank, partner_name, partner_path
            ) as place
        from {{ ref("int_device_partners") }} as partners
    ),

    listed as (
        select
            record_path,
            {{ dbt.listagg("called", "', '", "order by place") }} as called,
            min(evidence) as evidence,
            max(evidence) as other_evidence
        from names
        where is_match
        group by record_path
    ),

    candidates as (
        select
            record_path,
            {{
                dbt.listagg(
                    "case when place <= 10 then called || ' (' || partner_id || ')' end", "', '", "order by place"
                )
            }} || case
                when count(*) > 10 then ' and ' || cast(count(*) - 10 as {{ dbt.type_string() }}) || ' more' else ''
            end as called,
            min(evidence) as evidence
        from names
        where not is_listed
        group by record_path
    ),

    -- A client's records on one list may come through several tenants.
    lists as (
        select
            client_id,
            connection_id,
            endpoint,
            {{ combined_state("state", "last_complete_at") }} as source_state,
            min(fresh_until_at) as fresh_until_at
        from {{ ref("int_client_lists") }}
        where is_current
        group by client_id, connection_id, endpoint
    ),

    told as (
        select
            gaps.*,
            devices.client_name,
            devices.record_name as device_name,
            {{ vendor_title("devices.vendor") }} as record_title,
            devices.vendor as record_vendor,
            devices.connection_id,
            devices.record_id,
            devices.since_on,
            devices.mark,
            listed.called as listed_as,
            case
                when gaps.gap = 'ambiguous'
                then candidates.evidence
                when listed.evidence = listed.other_evidence
                then listed.evidence
                else listed.evidence || ', ' || listed.other_evidence
            end as matched_by,
            case when gaps.gap = 'ambiguous' then candidates.called end as candidates,
            coalesce(lists.source_state, 'unknown') as source_state,
            case
                when lists.fresh_until_at < gaps.fresh_until_at then lists.fresh_until_at else gaps.fresh_until_at
            end as both_fresh_until_at
        from {{ ref("int_coverage_gaps") }} as gaps
        inner join {{ ref("int_devices_unioned") }} as devices on devices.record_path = gaps.record_path
        left join listed on listed.record_path = gaps.record_path
        left join candidates on candidates.record_path = gaps.record_path
        left join
            lists
            on lists.client_id = devices.client_id
            and lists.connection_id = devices.connection_id
            and lists.endpoint = devices.endpoint
    )

select
    client_id,
    client_name,
    device_name,
    device_class,
    gap,
    record_title || ': ' || device_name || coalesce(', ' || listed_as, '') as present_in,
    record_vendor,
    connection_id,
    record_id,
    matched_by,
    candidates,
    since_on,
    expected_because,
    source_state,
    device_name
    || ' of '
    || client_name
    || ' is in '
    || record_title
    || ' since '
    || cast(since_on as {{ dbt.type_string() }})
    || coalesce(' (' || mark || ')', '')
    || case
        when gap = 'ambiguous'
        then ' and cannot be told from others by its ' || matched_by || ': it could be ' || candidates
        when gap like 'undecided%'
        then ', and nobody can tell whether it is in ' || titles || ' as well: only numbers are known there, no names'
        else ' and not in ' || titles
    end
    || '. '
    || expected_because as explanation,
    both_fresh_until_at as fresh_until_at,
    record_path as record_key
from told
