-- Pax8 writes dates in three ways, some with a time and an
-- offset; the day as it is written is the first ten characters.
with versions as ({{ known_versions(source("pax8", "subscriptions")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id,
    id as record_id,
    company_id,
    product_id,
    parent_subscription_id,
    vendor_subscription_id,
    vendor_sku_id,
    product_name,
    product_name as record_name,
    product_name as sku,
    product_name as sku_name,
    record_key as person_key,
    vendor_sku,
    vendor_name,
    add_on_name,
    usage_name,
    status,
    currency_code,
    currency_code as currency,
    billing_term,
    commitment_term__term,
    start_date,
    end_date,
    billing_start,
    commitment_term__end_date,
    nullif(
        concat_ws(
            ', ',
            case
                when lower(status) = 'pendingcancel'
                then 'is being cancelled' || coalesce(', runs until ' || substr(end_date, 1, 10), '')
            end,
            'committed until ' || substr(commitment_term__end_date, 1, 10),
            case when company__bill_on_behalf_of_enabled then 'billed by Pax8 itself' end
        ),
        ''
    ) as mark,
    quantity as unit_count,
    -- Seats, agents and machines are sold alike, and nothing says which: a mapping does.
    cast(null as {{ dbt.type_string() }}) as unit,
    quantity,
    price,
    partner_cost,
    company__bill_on_behalf_of_enabled as is_billed_by_pax8,
    cast(substr(start_date, 1, 10) as date) as started_on,
    cast(substr(end_date, 1, 10) as date) as ends_on,
    cast(substr(billing_start, 1, 10) as date) as billing_starts_on,
    cast(substr(commitment_term__end_date, 1, 10) as date) as commitment_ends_on,
    valid_from,
    known_valid_to as valid_to

from versions
