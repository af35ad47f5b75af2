-- What people gave up or left out names what must be mended; what was undone names nothing any more.
with

    given_up as (
        select decided.*
        from {{ ref("stg_ledger__decisions") }} as decided
        left join
            (select undoes from {{ ref("stg_ledger__decisions") }} where undoes is not null) as undone
            on undone.undoes = decided.decision_id
        where decided.action in ('write_off', 'exclude') and decided.cause is not null and undone.undoes is null
    ),

    placed as (
        select
            given_up.*,
            clients.today_on,
            row_number() over (
                partition by given_up.client_id, given_up.service_id, given_up.kind, given_up.cause, given_up.currency
                order by given_up.decided_at desc, given_up.decision_id
            ) as place,
            -- A write-off that is renewed gives up the same money, not more of it.
            row_number() over (
                partition by given_up.discrepancy_id order by given_up.decided_at desc, given_up.decision_id
            )
            = 1 as is_last_of_row
        from given_up
        left join {{ ref("int_clients") }} as clients on clients.client_id = given_up.client_id
    ),

    tasks as (
        select
            client_id,
            service_id,
            kind,
            cause,
            count(*) as decision_count,
            min(decided_at) as first_decided_at,
            max(decided_at) as last_decided_at,
            max(case when place = 1 then decided_by end) as last_decided_by,
            max(case when place = 1 then reason end) as last_reason,
            max(until_on) as holds_until_on,
            -- What was left out is no money; sums are of one currency.
            max(case when action = 'write_off' then currency end) as currency,
            sum(case when action = 'write_off' and is_last_of_row then amount end) as written_off_amount,
            max(today_on) as today_on
        from placed
        group by client_id, service_id, kind, cause, currency
    )

select
    tasks.client_id,
    coalesce(clients.client_name, tasks.client_id, 'unmapped') as client_name,
    tasks.service_id,
    coalesce(services.service_name, tasks.service_id) as service_name,
    tasks.kind,
    tasks.cause,
    case
        tasks.cause
        when 'mapping'
        then 'Put it where it belongs: service_mappings.csv, company_mappings.csv.'
        when 'contract'
        then 'Have the contract say what was meant: contracts.csv.'
        when 'source'
        then 'Mend it in the tool, which lists what is not so.'
        else 'Make it a rule that holds for everybody: exclusions.csv, or the words of the contract.'
    end as to_do,
    cast(tasks.decision_count as bigint) as decision_count,
    -- Once may be chance; what was given up for the same cause before was not mended.
    tasks.decision_count > 1 as is_chronic,
    tasks.holds_until_on > coalesce(tasks.today_on, cast(clock.as_of_at as date)) as is_open,
    tasks.first_decided_at,
    tasks.last_decided_at,
    tasks.last_decided_by,
    tasks.last_reason,
    tasks.holds_until_on,
    cast(tasks.written_off_amount as decimal(18, 4)) as written_off_amount,
    tasks.currency
from tasks
cross join {{ ref("stg_morton__clock") }} as clock
left join {{ ref("int_clients") }} as clients on clients.client_id = tasks.client_id
left join {{ ref("int_services") }} as services on services.service_id = tasks.service_id
