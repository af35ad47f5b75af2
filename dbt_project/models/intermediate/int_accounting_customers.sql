{{ config(materialized="view") }} {{ accounting_rows("customers", ["connection_id", "customer_id"]) }}
