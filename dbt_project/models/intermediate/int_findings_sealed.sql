-- Findings with their explanation and their seal: one hash over everything an approval stands on.
with

    evidence as (
        select
            discrepancy_id,
            -- What another tool lists is shown for comparison; no approval stands on it.
            {{
                sha256(
                    dbt.listagg(
                        "case when bucket <> 'coverage_only' then record_path || '>' || bucket || '>' || bucket_identity || '>' || service_pattern_key end",
                        "';'",
                        "order by record_path",
                    )
                )
            }}
            as evidence_hash,
            sum(case when change = 'added' then 1 else 0 end) as added_count,
            sum(case when change = 'removed' then 1 else 0 end) as removed_count
        from
            (
                select *, case when bucket = 'excluded' then bucket_reason else '' end as bucket_identity
                from {{ ref("int_evidence_unioned") }}
            ) as records
        group by discrepancy_id
    ),

    mappings as (
        select
            client_id,
            {{
                sha256(
                    dbt.listagg(
                        "connection_id || '>' || lower(company_id) || '>' || coalesce(cast(effective_from as "
                        ~ dbt.type_string()
                        ~ "), '') || '>' || coalesce(cast(effective_to as "
                        ~ dbt.type_string()
                        ~ "), '') || coalesce('>' || field || '>' || pattern, '')",
                        "';'",
                        "order by connection_id, company_id, effective_from, field, pattern",
                    )
                )
            }} as mapping_hash
        from {{ ref("company_mappings") }}
        group by client_id
    ),

    joined as (
        select
            findings.*,
            coalesce(evidence.evidence_hash, '') as evidence_hash,
            coalesce(evidence.added_count, 0) as added_count,
            coalesce(evidence.removed_count, 0) as removed_count,
            coalesce(mappings.mapping_hash, '') as mapping_hash,
            -- Whom the accounting system bills, and for which item.
            coalesce(clients.accounting_customer_id, '')
            || '>'
            || coalesce(services.accounting_item_id, '') as billed_to,
            usage.count_basis,
            usage.measured_on as peak_on,
            usage.day_count,
            usage.divisor as month_days,
            usage.committed_quantity,
            usage.committed_until,
            usage.notice_days,
            usage.charged_quantity,
            usage.covered_quantity,
            usage.billable_quantity,
            usage.billable_amount,
            usage.contracted_amount,
            explained.unexplained_quantity,
            coalesce(explained.note, '') as change_note,
            case
                when findings.source_state = 'known' and findings.observed_quantity = 0
                then 'zero'
                else findings.source_state
            end as state,
            {{ vendor_title("findings.vendor") }} as vendor_title
        from {{ ref("int_findings_unioned") }} as findings
        left join
            {{ ref("int_usage_variances") }} as usage
            on usage.client_id = findings.client_id
            and usage.service_id = findings.service_id
            and usage.period_month = findings.period_month
            and usage.kind = findings.kind
        left join evidence on evidence.discrepancy_id = findings.discrepancy_id
        left join {{ ref("int_explained") }} as explained on explained.discrepancy_id = findings.discrepancy_id
        left join mappings on mappings.client_id = findings.client_id
        left join {{ ref("int_clients") }} as clients on clients.client_id = findings.client_id
        left join {{ ref("int_services") }} as services on services.service_id = findings.service_id
    )

select
    *,
    {{
        sha256(
            "discrepancy_id || '|' || kind || '|' || coalesce(cast(variance_quantity as "
            ~ dbt.type_string()
            ~ "), '')"
            ~ " || '|' || coalesce(cast(variance_amount as "
            ~ dbt.type_string()
            ~ "), '') || '|' || coalesce(cast(price as "
            ~ dbt.type_string()
            ~ "), '')"
            ~ " || '|' || coalesce(currency, '') || '|' || contract_text || '|' || mapping_hash || '|' || evidence_hash"
            ~ " || '|' || case when source_state = 'known' then 'fresh' else source_state end || '|' || billed_to"
        )
    }} as seal,
    case
        kind
        when 'not_audited'
        then
            'The contract says '
            || {{ say_quantity("contracted_quantity") }}
            || ' '
            || service_name
            || ', and nothing that is connected, mapped and read counts it for '
            || client_name
            || case when vendor is null then '' else ' in ' || vendor_title end
            || '; it was not checked.'
        when 'coverage_gap'
        then
            remark
            || ' promises '
            || client_name
            || ' '
            || {{ say_quantity("contracted_quantity") }}
            || ' '
            || service_name
            || ', and '
            || vendor_title
            || ' lists '
            || {{ say_quantity("observed_quantity") }}
            || ': '
            || {{ say_quantity("abs(variance_quantity)") }}
            || ' not delivered, since '
            || cast(began_on as {{ dbt.type_string() }})
            || '.'
        when 'unmapped_company'
        then
            vendor_title
            || ' lists '
            || {{ say_quantity("observed_quantity") }}
            || ' billable records for '
            || client_name
            || ', '
            || coalesce(remark, 'a company that is mapped to no client')
            || case
                when variance_amount is null
                then '.'
                else '; at list price ' || {{ say_money("variance_amount", "currency") }} || ' a month.'
            end
        when 'unmapped_sku'
        then
            client_name
            || ' holds '
            || {{ say_quantity("observed_quantity") }}
            || ' × '
            || service_name
            || ' in '
            || vendor_title
            || ', which is '
            || coalesce(remark, 'mapped to no service')
            || case
                when variance_amount is null
                then '.'
                else '; at list price ' || {{ say_money("variance_amount", "currency") }} || ' a month.'
            end
        when 'correction'
        then
            remark || case
                when added_count + removed_count = 0
                then '.'
                else
                    ' ('
                    || cast(added_count as {{ dbt.type_string() }})
                    || ' added, '
                    || cast(removed_count as {{ dbt.type_string() }})
                    || ' removed).'
            end
        when 'below_cost'
        then
            remark || case
                when source_state = 'known'
                then ''
                else
                    ' Last complete reading '
                    || coalesce(cast(source_as_of_at as {{ dbt.type_string() }}), 'never')
                    || ' UTC.'
            end
        when 'invoice_mismatch'
        then
            case
                when contract_text = ''
                then 'No contract covers ' || service_name
                else 'The contract says ' || {{ say_quantity("contracted_quantity") }} || ' ' || service_name
            end
            || ', the invoices of '
            || cast(period_month as {{ dbt.type_string() }})
            || ' bill '
            || {{ say_quantity("(contracted_quantity - variance_quantity)") }}
            || case
                when variance_amount = 0
                then ': the money is the same.'
                else
                    coalesce(remark, '')
                    || ': '
                    || {{ say_money("abs(variance_amount)", "currency") }}
                    || case when variance_amount > 0 then ' too little.' else ' too much.' end
            end
            || case
                when source_state = 'known'
                then ''
                else
                    ' Last complete reading '
                    || coalesce(cast(source_as_of_at as {{ dbt.type_string() }}), 'never')
                    || ' UTC.'
            end
        else
            vendor_title
            || ' counts '
            || {{ say_quantity("observed_quantity") }}
            || ' '
            || service_name
            || ' for '
            || client_name
            || case
                count_basis
                when 'peak'
                then ' at the peak of the month, on ' || cast(peak_on as {{ dbt.type_string() }})
                when 'average'
                then ' on average over ' || cast(day_count as {{ dbt.type_string() }}) || ' days'
                when 'daily'
                then
                    ' by the day, over '
                    || cast(day_count as {{ dbt.type_string() }})
                    || ' of '
                    || {{ say_quantity("month_days") }}
                    || ' days'
                else ''
            end
            || ', '
            || case
                when covered_quantity is null
                then ''
                else {{ say_quantity("covered_quantity") }} || ' of them in a bundle, '
            end
            || case
                when kind = 'no_contract'
                then 'and no contract covers it'
                when contract_text = ''
                then 'and no contract covers the rest'
                when count_basis in ('average', 'daily')
                then 'the contract comes to ' || {{ say_quantity("contracted_quantity") }} || ' over the month'
                else 'the contract says ' || {{ say_quantity("contracted_quantity") }}
            end
            || case
                when committed_quantity = billable_quantity and committed_quantity > observed_quantity
                then
                    ' and the commitment of '
                    || {{ say_quantity("committed_quantity") }}
                    || case
                        when committed_until = cast('9999-12-31' as date)
                        then ''
                        else ' until ' || cast(committed_until as {{ dbt.type_string() }})
                    end
                    || ' applies'
                when billing_model = 'minimum' and observed_quantity < minimum_quantity
                then ' and the minimum of ' || {{ say_quantity("minimum_quantity") }} || ' applies'
                when billing_model = 'included'
                then ' beyond ' || {{ say_quantity("included_quantity") }} || ' included'
                when notice_days > 0 and charged_quantity > observed_quantity
                then
                    ' and '
                    || {{ say_quantity("charged_quantity") }}
                    || ' are charged for '
                    || cast(notice_days as {{ dbt.type_string() }})
                    || ' days of notice'
                else ''
            end
            || ': '
            || {{ say_quantity("abs(variance_quantity)") }}
            || case
                -- Where the price depends on the number, more may come to less.
                when variance_quantity > 0 and variance_amount < 0
                then ' more than agreed'
                when variance_quantity < 0 and variance_amount > 0
                then ' fewer than agreed'
                when variance_quantity > 0 or (variance_quantity = 0 and variance_amount > 0)
                then ' not billed'
                else ' billed too many'
            end
            || case
                when variance_amount is null
                then ', for which there is no price'
                when {{ round_money("variance_quantity * price", "currency") }} = variance_amount
                then
                    ' at '
                    || {{ say_money("price", "currency") }}
                    || ' is '
                    || {{ say_money("abs(variance_amount)", "currency") }}
                else
                    ', priced by the contract: '
                    || {{ say_quantity("billable_quantity") }}
                    || ' for '
                    || {{ say_money("billable_amount", "currency") }}
                    || ' against '
                    || {{ say_quantity("contracted_quantity") }}
                    || ' for '
                    || {{ say_money("contracted_amount", "currency") }}
                    || ', which is '
                    || {{ say_money("abs(variance_amount)", "currency") }}
                    || case when variance_amount > 0 then ' too little' else ' too much' end
            end
            || case
                when variance_amount is null
                then ''
                when count_basis in ('average', 'daily')
                then ' in this month'
                else ' a month'
            end
            || ', since '
            || cast(began_on as {{ dbt.type_string() }})
            || case
                when added_count + removed_count = 0
                then ''
                else
                    ' ('
                    || cast(added_count as {{ dbt.type_string() }})
                    || ' added, '
                    || cast(removed_count as {{ dbt.type_string() }})
                    || ' removed)'
            end
            || case when kind = 'no_contract' then '; an estimate.' else '.' end
            || change_note
            || case
                when is_late_measured
                then ' Measured late, on ' || cast(measured_on as {{ dbt.type_string() }}) || '.'
                else ''
            end
            || case
                when source_state = 'known'
                then ''
                else
                    ' Last complete reading '
                    || coalesce(cast(source_as_of_at as {{ dbt.type_string() }}), 'never')
                    || ' UTC.'
            end
            || {{ say_caveat("vendor") }}
    end as explanation
from joined
