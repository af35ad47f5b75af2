{{ config(materialized="view") }}
-- What we billed for usage, per client, service and month, whatever the kind of the rows was called at the time.
with

    -- A month whose contract ended in it may have a part under contract and one without.
    variances as (
        select
            client_id,
            service_id,
            period_month,
            sum(case when variance_quantity > 0 then variance_quantity else 0 end) as under_billed_quantity,
            max(currency) as currency,
            max(price) as price
        from {{ ref("int_usage_standing") }}
        group by client_id, service_id, period_month
    ),

    billed as (
        select
            lines.client_id,
            lines.service_id,
            lines.period_month,
            sum(lines.quantity) as posted_quantity,
            -- Sent in another currency than the variance is in now: what was sent is worth what its units are.
            sum(
                case
                    when variances.currency is null or variances.currency = lines.currency
                    then lines.amount
                    else {{ round_money("lines.quantity * variances.price", "variances.currency") }}
                end
            ) as posted_amount,
            max(coalesce(variances.under_billed_quantity, 0)) as under_billed_quantity,
            max(coalesce(variances.currency, lines.currency)) as currency
        from {{ ref("stg_ledger__invoice_lines") }} as lines
        left join
            variances
            on variances.client_id = lines.client_id
            and variances.service_id = lines.service_id
            and variances.period_month = lines.period_month
        where lines.state = 'posted' and lines.kind in {{ usage_kinds() }}
        group by lines.client_id, lines.service_id, lines.period_month
    ),

    others as (
        select client_id, service_id, period_month, sum(quantity) as quantity
        from {{ ref("int_invoiced_quantities") }}
        where service_id is not null and not is_ours
        group by client_id, service_id, period_month
    ),

    -- Where the contract grew after we had billed the variance, part of what we sent stands for what it now says.
    compared as (
        select
            billed.*,
            billed.posted_quantity - billed.under_billed_quantity as excess_quantity,
            case
                when clients.accounting_customer_id is null or services.accounting_item_id is null
                then 0
                else coalesce(contracts.contracted_quantity, 0) - coalesce(others.quantity, 0)
            end as uninvoiced_quantity
        from billed
        inner join {{ ref("int_clients") }} as clients on clients.client_id = billed.client_id
        inner join {{ ref("int_services") }} as services on services.service_id = billed.service_id
        left join
            {{ ref("int_period_terms") }} as contracts
            on contracts.client_id = billed.client_id
            and contracts.service_id = billed.service_id
            and contracts.period_month = billed.period_month
            and contracts.is_standing
        left join
            others
            on others.client_id = billed.client_id
            and others.service_id = billed.service_id
            and others.period_month = billed.period_month
    ),

    shared as (
        select
            *,
            cast(
                case
                    when excess_quantity <= 0 or uninvoiced_quantity <= 0
                    then 0
                    when excess_quantity < uninvoiced_quantity
                    then excess_quantity
                    else uninvoiced_quantity
                end as decimal(18, 4)
            ) as contracted_quantity
        from compared
    ),

    parted as (
        select
            *,
            case
                when contracted_quantity = 0
                then cast(posted_amount as decimal(18, 4))
                else
                    {{
                        round_money(
                            "posted_amount * (posted_quantity - contracted_quantity) / posted_quantity", "currency"
                        )
                    }}
            end as usage_amount
        from shared
    )

select
    client_id,
    service_id,
    period_month,
    currency,
    contracted_quantity,
    cast(posted_amount - usage_amount as decimal(18, 4)) as contracted_amount,
    cast(posted_quantity - contracted_quantity as decimal(18, 4)) as usage_quantity,
    usage_amount
from parted
