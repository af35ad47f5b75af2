-- What the accounting system billed, per client, service and month; lines we posted ourselves are told apart.
with

    lines as (
        select
            clients.client_id,
            services.service_id,
            lines.line_id,
            lines.description,
            lines.quantity,
            lines.amount,
            invoices.currency,
            invoices.accounting_id,
            invoices.doc_number,
            invoices.connection_id,
            invoices.invoiced_on,
            cast(
                {{ dbt.date_trunc("month", "coalesce(lines.service_on, invoices.invoiced_on)") }} as date
            ) as period_month,
            invoices.vendor,
            invoices.is_ours
        from {{ ref("int_accounting_lines") }} as lines
        inner join
            {{ ref("int_accounting_documents") }} as invoices
            on invoices.connection_id = lines.connection_id
            and invoices.accounting_id = lines.accounting_id
        inner join {{ ref("int_clients") }} as clients on clients.accounting_customer_id = invoices.customer_id
        left join {{ ref("int_services") }} as services on services.accounting_item_id = lines.item_id
        where not invoices.is_void
    )

select *, max(case when is_ours then 0 else 1 end) over (partition by client_id, period_month) = 1 as is_client_invoiced
from lines
