{{ config(materialized="view") }}
-- Written out day by day only where somebody asks: days are many, and stretches in which nothing changes few.
select
    {{ each_day("first_on", "last_on") }} as quantity_on,
    client_id,
    service_id,
    vendor,
    connection_id,
    observed_quantity,
    billable_quantity,
    contracted_quantity,
    variance_quantity,
    source_state
from {{ ref("quantity_stretches") }}
