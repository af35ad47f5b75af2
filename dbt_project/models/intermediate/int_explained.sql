-- What explains a finding beside the records that came and went: what changed in the contract meanwhile, and how much
-- of the change no record accounts for.
with

    -- A bundle may be counted by the records of a component, in that one's unit.
    findings as (
        select
            findings.discrepancy_id,
            findings.client_id,
            findings.service_id,
            findings.vendor,
            findings.observed_quantity,
            findings.began_on,
            findings.measured_on,
            findings.has_agreed_set,
            services.counted_as,
            counters.unit = 'user' as is_by_person,
            variances.count_basis in ('average', 'daily') as is_by_day
        from {{ ref("int_findings_unioned") }} as findings
        inner join {{ ref("int_services") }} as services on services.service_id = findings.service_id
        inner join {{ ref("int_services") }} as counters on counters.service_id = services.counted_as
        inner join
            {{ ref("int_usage_variances") }} as variances
            on variances.client_id = findings.client_id
            and variances.service_id = findings.service_id
            and variances.period_month = findings.period_month
            and variances.kind = findings.kind
    ),

    -- The records as the evidence names them: what counts now, and what did on the last day on which both agreed.
    named as (
        select
            findings.discrepancy_id,
            findings.is_by_person,
            evidence.connection_id || '|' || evidence.record_id as holder,
            case
                when evidence.change <> 'removed' and evidence.bucket in ('billed', 'included') then evidence.quantity
            end as quantity_now,
            case
                when
                    evidence.change = 'removed'
                    or (evidence.change = 'kept' and evidence.bucket in ('billed', 'included'))
                then spells.unit_count
            end as quantity_then
        from findings
        inner join
            {{ ref("int_evidence_unioned") }} as evidence
            on evidence.discrepancy_id = findings.discrepancy_id
            and evidence.vendor = findings.vendor
        left join
            {{ ref("int_spells") }} as spells
            on spells.vendor = evidence.vendor
            and spells.record_path = evidence.record_path
            and spells.client_id = findings.client_id
            and spells.service_id = findings.counted_as
            and spells.standing = 'counted'
            and spells.spell_from < findings.began_on
            and spells.spell_to >= findings.began_on
        where findings.has_agreed_set
    ),

    -- A person counts once, whatever they hold.
    held as (
        select
            discrepancy_id,
            holder,
            case when is_by_person then max(quantity_now) else sum(quantity_now) end as quantity_now,
            case when is_by_person then max(quantity_then) else sum(quantity_then) end as quantity_then
        from named
        group by discrepancy_id, holder, is_by_person
    ),

    added_up as (
        select
            discrepancy_id,
            count(*) as record_count,
            sum(coalesce(quantity_now, 0)) as quantity_now,
            sum(coalesce(quantity_then, 0)) as quantity_then
        from held
        group by discrepancy_id
    ),

    agreed as (
        select findings.discrepancy_id, sum(steps.quantity) as observed_quantity
        from findings
        inner join
            {{ ref("int_quantity_steps") }} as steps
            on steps.client_id = findings.client_id
            and steps.service_id = findings.service_id
            and steps.vendor = findings.vendor
            and steps.quantity_from < findings.began_on
            and steps.quantity_to >= findings.began_on
        group by findings.discrepancy_id
    ),

    unexplained as (
        select
            findings.discrepancy_id,
            findings.is_by_day,
            coalesce(added_up.record_count, 0) as record_count,
            cast(
                (findings.observed_quantity - coalesce(added_up.quantity_now, 0))
                - (coalesce(agreed.observed_quantity, 0) - coalesce(added_up.quantity_then, 0)) as decimal(18, 4)
            ) as quantity
        from findings
        left join added_up on added_up.discrepancy_id = findings.discrepancy_id
        left join agreed on agreed.discrepancy_id = findings.discrepancy_id
        -- Who held what on which of the days is not added up from shares of records.
        where findings.has_agreed_set and not (findings.is_by_day and findings.is_by_person)
    ),

    rounded as (
        select
            discrepancy_id,
            -- Shares of days are rounded record by record.
            case
                when is_by_day and abs(quantity) <= 0.0001 * (1 + record_count)
                then cast(0 as decimal(18, 4))
                else quantity
            end as unexplained_quantity
        from unexplained
    ),

    agreements as (
        select
            findings.discrepancy_id,
            {{
                dbt.listagg(
                    "changes.change || ' on ' || cast(changes.changed_on as " ~ dbt.type_string() ~ ")",
                    "', '",
                    "order by changes.changed_on, changes.change",
                )
            }} as changes_text
        from findings
        inner join
            {{ ref("int_contract_changes") }} as changes
            on changes.client_id = findings.client_id
            and changes.service_id = findings.service_id
            and changes.changed_on >= findings.began_on
            and changes.changed_on <= findings.measured_on
        where findings.has_agreed_set
        group by findings.discrepancy_id
    )

select
    findings.discrepancy_id,
    rounded.unexplained_quantity,
    coalesce(' Meanwhile ' || agreements.changes_text || '.', '') || case
        when coalesce(rounded.unexplained_quantity, 0) = 0
        then ''
        else ' No record accounts for ' || {{ say_quantity("abs(rounded.unexplained_quantity)") }} || ' of the change.'
    end as note
from findings
left join rounded on rounded.discrepancy_id = findings.discrepancy_id
left join agreements on agreements.discrepancy_id = findings.discrepancy_id
