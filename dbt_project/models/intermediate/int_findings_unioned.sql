-- Every kind of finding in one shape, before anybody has decided anything. `subject` is what makes a row one of a kind.
with

    invoiced as (
        select
            client_id,
            service_id,
            period_month,
            cast(sum(coalesce(quantity, 0)) as decimal(18, 4)) as invoiced_quantity,
            {{
                dbt.listagg(
                    "distinct case when amount >= 0 then coalesce(doc_number, accounting_id) end",
                    "', '",
                    "order by case when amount >= 0 then coalesce(doc_number, accounting_id) end",
                )
            }} as invoiced_as
        from {{ ref("int_invoiced_quantities") }}
        where service_id is not null
        group by client_id, service_id, period_month
    ),

    usage as (
        select
            period_month,
            client_id,
            client_name,
            service_id,
            service_name,
            kind,
            vendor,
            client_id as client_subject,
            service_id as service_subject,
            observed_quantity,
            contracted_quantity,
            variance_quantity,
            price,
            currency,
            variance_amount,
            {{ round_money("accumulated_amount", "currency") }} as accumulated_amount,
            {{ round_money("unlapsed_amount", "currency") }} as unlapsed_amount,
            began_on,
            source_state,
            source_as_of_at,
            is_late_measured,
            coalesce(contract_text, '') as contract_text,
            billing_model,
            minimum_quantity,
            included_quantity,
            unit,
            -- A gap that is small and stays adds up: thirty days of the whole tolerance are enough.
            abs(variance_quantity) <= tolerance_quantity
            and abs(lost_unit_days) < 30 * tolerance_quantity as is_within_tolerance,
            contract_id is null as is_estimate,
            run > 1 as has_agreed_set,
            measured_on,
            cast(null as {{ dbt.type_string() }}) as remark
        from {{ ref("int_usage_variances") }}
    ),

    mismatches as (
        select
            period_month,
            client_id,
            client_name,
            service_id,
            service_name,
            'invoice_mismatch' as kind,
            accounting_vendor as vendor,
            client_id as client_subject,
            service_id as service_subject,
            observed_quantity,
            contracted_quantity,
            variance_quantity,
            price,
            currency,
            variance_amount,
            variance_amount as accumulated_amount,
            unlapsed_amount,
            period_month as began_on,
            source_state,
            source_as_of_at,
            false as is_late_measured,
            contract_text,
            cast(null as {{ dbt.type_string() }}) as billing_model,
            cast(null as decimal(18, 4)) as minimum_quantity,
            cast(null as decimal(18, 4)) as included_quantity,
            cast(null as {{ dbt.type_string() }}) as unit,
            -- A tolerance is of units: it covers no price, and a gap that stays adds up here as well.
            abs(variance_quantity) <= tolerance_quantity
            and abs(lost_unit_days) < 30 * tolerance_quantity
            and not is_priced_otherwise as is_within_tolerance,
            false as is_estimate,
            true as has_agreed_set,
            last_on as measured_on,
            case
                when is_priced_otherwise and contract_text <> ''
                then
                    ', for '
                    || {{ say_money("invoiced_amount", "currency") }}
                    || ' where the contract comes to '
                    || {{ say_money("contracted_amount", "currency") }}
            end as remark
        from {{ ref("int_invoice_mismatches") }}
        where is_standing
    ),

    -- A correction begins with the month it corrects, whose invoices it is about.
    corrections as (
        select
            period_month,
            client_id,
            client_name,
            service_id,
            service_name,
            'correction' as kind,
            vendor,
            client_id as client_subject,
            service_id as service_subject,
            observed_quantity,
            contracted_quantity,
            variance_quantity,
            price,
            currency,
            variance_amount,
            variance_amount as accumulated_amount,
            unlapsed_amount,
            corrects_month as began_on,
            'known' as source_state,
            source_as_of_at,
            false as is_late_measured,
            contract_text,
            cast(null as {{ dbt.type_string() }}) as billing_model,
            cast(null as decimal(18, 4)) as minimum_quantity,
            cast(null as decimal(18, 4)) as included_quantity,
            cast(null as {{ dbt.type_string() }}) as unit,
            is_within_tolerance,
            is_estimate,
            true as has_agreed_set,
            measured_on,
            remark
        from {{ ref("int_corrections") }}
    ),

    unmapped as (
        select
            period_month,
            nullif(client_id, '') as client_id,
            client_name,
            cast(null as {{ dbt.type_string() }}) as service_id,
            service_name,
            kind,
            vendor,
            client_id || company_path as client_subject,
            sku_path as service_subject,
            observed_quantity,
            cast(null as decimal(18, 4)) as contracted_quantity,
            observed_quantity as variance_quantity,
            price,
            currency,
            variance_amount,
            accumulated_amount,
            cast(null as decimal(18, 4)) as unlapsed_amount,
            began_on,
            source_state,
            source_as_of_at,
            false as is_late_measured,
            '' as contract_text,
            cast(null as {{ dbt.type_string() }}) as billing_model,
            cast(null as decimal(18, 4)) as minimum_quantity,
            cast(null as decimal(18, 4)) as included_quantity,
            cast(null as {{ dbt.type_string() }}) as unit,
            false as is_within_tolerance,
            true as is_estimate,
            true as has_agreed_set,
            last_on as measured_on,
            remark
        from {{ ref("int_unmapped_variances") }}
    ),

    not_audited as (
        select
            period_month,
            client_id,
            client_name,
            service_id,
            service_name,
            'not_audited' as kind,
            vendor,
            client_id as client_subject,
            service_id as service_subject,
            cast(null as decimal(18, 4)) as observed_quantity,
            contracted_quantity,
            cast(null as decimal(18, 4)) as variance_quantity,
            price,
            currency,
            cast(null as decimal(18, 4)) as variance_amount,
            cast(null as decimal(18, 4)) as accumulated_amount,
            cast(null as decimal(18, 4)) as unlapsed_amount,
            cast(null as date) as began_on,
            'unknown' as source_state,
            cast(null as timestamp) as source_as_of_at,
            false as is_late_measured,
            contract_text,
            cast(null as {{ dbt.type_string() }}) as billing_model,
            cast(null as decimal(18, 4)) as minimum_quantity,
            cast(null as decimal(18, 4)) as included_quantity,
            cast(null as {{ dbt.type_string() }}) as unit,
            false as is_within_tolerance,
            false as is_estimate,
            true as has_agreed_set,
            last_on as measured_on,
            cast(null as {{ dbt.type_string() }}) as remark
        from {{ ref("int_not_audited") }}
    ),

    below_cost as (
        select
            period_month,
            client_id,
            client_name,
            service_id,
            service_name,
            'below_cost' as kind,
            vendor,
            client_id as client_subject,
            service_id as service_subject,
            cost_quantity as observed_quantity,
            contracted_quantity,
            cost_quantity as variance_quantity,
            price,
            currency,
            variance_amount,
            cast(null as decimal(18, 4)) as accumulated_amount,
            cast(null as decimal(18, 4)) as unlapsed_amount,
            cast(null as date) as began_on,
            source_state,
            source_as_of_at,
            false as is_late_measured,
            contract_text,
            cast(null as {{ dbt.type_string() }}) as billing_model,
            cast(null as decimal(18, 4)) as minimum_quantity,
            cast(null as decimal(18, 4)) as included_quantity,
            cast(null as {{ dbt.type_string() }}) as unit,
            false as is_within_tolerance,
            true as is_estimate,
            true as has_agreed_set,
            last_on as measured_on,
            remark
        from {{ ref("int_below_cost_variances") }}
    ),

    bundle_gaps as (
        select
            period_month,
            client_id,
            client_name,
            service_id,
            service_name,
            'coverage_gap' as kind,
            vendor,
            client_id as client_subject,
            service_id as service_subject,
            observed_quantity,
            covered_quantity as contracted_quantity,
            variance_quantity,
            cast(null as decimal(18, 4)) as price,
            currency,
            cast(null as decimal(18, 4)) as variance_amount,
            cast(null as decimal(18, 4)) as accumulated_amount,
            cast(null as decimal(18, 4)) as unlapsed_amount,
            began_on,
            'known' as source_state,
            source_as_of_at,
            false as is_late_measured,
            '' as contract_text,
            cast(null as {{ dbt.type_string() }}) as billing_model,
            cast(null as decimal(18, 4)) as minimum_quantity,
            cast(null as decimal(18, 4)) as included_quantity,
            cast(null as {{ dbt.type_string() }}) as unit,
            false as is_within_tolerance,
            false as is_estimate,
            has_agreed_set,
            last_on as measured_on,
            bundle_names as remark
        from {{ ref("int_bundle_gaps") }}
    ),

    unioned as (
        select *
        from usage
        union all
        select *
        from bundle_gaps
        union all
        select *
        from mismatches
        union all
        select *
        from unmapped
        union all
        select *
        from not_audited
        union all
        select *
        from below_cost
        union all
        select *
        from corrections
    ),

    dated as (
        select
            *,
            case when kind = 'correction' then began_on end as corrects_month,
            case when kind = 'correction' then began_on else period_month end as subject_month
        from unioned
    )

select
    dated.*,
    {{ discrepancy_id("dated.subject_month", "dated.client_subject", "dated.service_subject", "dated.kind") }}
    as discrepancy_id,
    invoiced.invoiced_quantity,
    invoiced.invoiced_as,
    variances.lost_unit_days
from dated
left join
    invoiced
    on invoiced.client_id = dated.client_id
    and invoiced.service_id = dated.service_id
    and invoiced.period_month = dated.subject_month
left join
    {{ ref("int_usage_variances") }} as variances
    on variances.client_id = dated.client_id
    and variances.service_id = dated.service_id
    and variances.period_month = dated.period_month
    and variances.kind = dated.kind
left join
    {{ ref("stg_morton__closed_periods") }} as closed
    on closed.client_id = dated.client_id
    and closed.period_month = dated.period_month
-- A closed month keeps the rows it was closed with; only what its invoices bill is still looked at.
where closed.client_id is null or dated.kind = 'invoice_mismatch'
