-- Every invoice and credit note of the accounting system as it stands, whoever made it; ours carry our reference.
with

    documents as (
        {{
            accounting_rows(
                "documents",
                [
                    "connection_id",
                    "accounting_id",
                    "doc_number",
                    "customer_id",
                    "currency",
                    "note",
                    "is_credit",
                    "net_amount",
                    "is_void",
                    "invoiced_on",
                ],
            )
        }}
    )

select documents.*, sent.invoice_id, sent.invoice_id is not null as is_ours
from documents
left join
    {{ ref("stg_ledger__invoices") }} as sent
    on sent.destination = documents.connection_id
    and (
        sent.accounting_id = documents.accounting_id
        or sent.reference = documents.doc_number
        or sent.reference = {{ marked_reference("documents.note") }}
    )
where documents.valid_to is null
