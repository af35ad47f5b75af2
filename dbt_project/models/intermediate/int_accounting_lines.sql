{{ config(materialized="view") }}
-- What each of those documents charges, or gives back.
with

    lines as (
        {{
            accounting_rows(
                "lines",
                [
                    "connection_id",
                    "accounting_id",
                    "line_id",
                    "item_id",
                    "description",
                    "quantity",
                    "unit_price",
                    "amount",
                    "service_on",
                ],
            )
        }}
    )

select *
from lines
where valid_to is null
