-- What the accounting system billed, per client, service and month; lines we posted ourselves are told apart.
with

    ours as (
        select accounting_id
        from {{ ref("stg_ledger__invoices") }}
        where accounting_id is not null
        union
        select invoices.accounting_id
        from {{ ref("stg_quickbooks_online__invoices") }} as invoices
        inner join {{ ref("stg_ledger__invoices") }} as sent on sent.reference = invoices.doc_number
    ),

    lines as (
        select
            clients.client_id,
            services.service_id,
            lines.line_id,
            lines.description,
            lines.quantity,
            lines.amount,
            invoices.accounting_id,
            invoices.doc_number,
            invoices.connection_id,
            invoices.invoiced_on,
            cast(
                {{ dbt.date_trunc("month", "coalesce(lines.service_on, invoices.invoiced_on)") }} as date
            ) as period_month,
            ours.accounting_id is not null as is_ours
        from {{ ref("stg_quickbooks_online__invoice_lines") }} as lines
        inner join
            {{ ref("stg_quickbooks_online__invoices") }} as invoices
            on invoices.connection_id = lines.connection_id
            and invoices.accounting_id = lines.accounting_id
            and invoices.valid_to is null
        inner join {{ ref("int_clients") }} as clients on clients.accounting_customer_id = invoices.customer_id
        left join {{ ref("int_services") }} as services on services.accounting_item_id = lines.item_id
        left join ours on ours.accounting_id = invoices.accounting_id
        where
            lines.valid_to is null
            and not (invoices.total_amount = 0 and lower(coalesce(invoices.private_note, '')) like '%void%')
    )

select *, max(case when is_ours then 0 else 1 end) over (partition by client_id, period_month) = 1 as is_client_invoiced
from lines
