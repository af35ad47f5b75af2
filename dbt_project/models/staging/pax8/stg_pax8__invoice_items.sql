-- The lines of older invoices are read no more. A line never changes, so one that was last seen when its invoice was
-- about that old still stands; one that is missed earlier is really gone.
with
    versions as ({{ known_versions(source("pax8", "invoice_items")) }}),

    followed as (
        select
            *,
            lead(valid_from) over (
                partition by connection_id, tenant_id, record_key order by valid_from
            ) as followed_from
        from versions
    )

select
    connection_id,
    tenant_id,
    record_key,
    invoice_id,
    id as invoice_item_id,
    company_id,
    subscription_id,
    product_id,
    company_name,
    product_name,
    sku,
    type,
    term,
    unit_of_measure,
    currency_code as currency,
    quantity,
    price,
    cost,
    cost_total as cost_amount,
    total as total_amount,
    lower(type) = 'subscription' as is_recurring,
    cast(substr(invoice_date, 1, 10) as date) as invoiced_on,
    cast(substr(start_period, 1, 10) as date) as period_starts_on,
    cast(substr(end_period, 1, 10) as date) as period_ends_on,
    valid_from,
    case
        when followed_from is not null or known_valid_to < cast(cast(sure_until as date) as {{ dbt.type_timestamp() }})
        then known_valid_to
    end as valid_to

from followed
