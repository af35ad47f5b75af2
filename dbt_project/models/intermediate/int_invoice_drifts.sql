-- How the documents we made stand in the accounting system, where that is not as they were approved.
with

    -- What was posted after the lists were last read whole is not missing from them.
    read_back as (
        select connection_id, min(last_complete_at) as last_complete_at
        from {{ ref("int_scope_states") }}
        where
            connection_id in (select connection_id from {{ ref("stg_morton__scopes") }} where category = 'accounting')
            and endpoint in {{ accounting_lists() }}
        group by connection_id
        having min(case when last_complete_at is null then 0 else 1 end) = 1
    ),

    sent as (
        select invoices.*, read_back.last_complete_at
        from {{ ref("stg_ledger__invoices") }} as invoices
        inner join read_back on read_back.connection_id = invoices.destination
        where invoices.state = 'posted' and invoices.is_state_known and invoices.updated_at < read_back.last_complete_at
    ),

    found as (
        select
            invoice_id,
            count(*) as document_count,
            sum(case when is_void then 0 else 1 end) as standing_count,
            min(currency) as currency,
            min(customer_id) as customer_id,
            sum(case when is_void then 0 else net_amount end) as net_amount,
            {{ dbt.listagg("coalesce(doc_number, accounting_id)", "', '", "order by accounting_id") }} as numbers
        from {{ ref("int_accounting_documents") }}
        where is_ours
        group by invoice_id
    ),

    -- Line amounts as they were approved less those there now: none is left where nothing was changed. The items of
    -- lines are compared by `morton invoices verify`, which knows what was sent: the seeds may name another item by
    -- now.
    line_differences as (
        select invoice_id, amount
        from
            (
                select invoice_id, amount, 1 as times
                from {{ ref("stg_ledger__invoice_lines") }}
                union all
                select documents.invoice_id, lines.amount, -1 as times
                from {{ ref("int_accounting_lines") }} as lines
                inner join
                    {{ ref("int_accounting_documents") }} as documents
                    on documents.connection_id = lines.connection_id
                    and documents.accounting_id = lines.accounting_id
                where documents.is_ours and not documents.is_void
            ) as amounts
        group by invoice_id, amount
        having sum(times) <> 0
    ),

    judged as (
        select
            sent.*,
            coalesce(found.net_amount, 0) as found_amount,
            found.currency as found_currency,
            found.customer_id <> sent.customer_id as is_of_another,
            found.numbers,
            case
                when found.invoice_id is null
                then 'missing'
                when found.standing_count = 0
                then 'voided'
                when found.standing_count > 1
                then 'duplicated'
                when
                    found.net_amount <> sent.total_amount
                    or coalesce(found.currency, sent.currency) <> sent.currency
                    or found.customer_id <> sent.customer_id
                    or changed.invoice_id is not null
                then 'changed'
            end as drift
        from sent
        left join found on found.invoice_id = sent.invoice_id
        left join (select distinct invoice_id from line_differences) as changed on changed.invoice_id = sent.invoice_id
    )

select *
from judged
where drift is not null
