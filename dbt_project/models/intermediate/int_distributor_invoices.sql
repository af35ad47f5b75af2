-- What the distributors invoiced of a client's service in a month: the lines of subscriptions whose time begins in it.
-- Prorated lines and credits carry parts of a month, arrears are billed by usage, and add-ons are no seats of their
-- own.
with

    lines as (
        {% for e in countable_endpoints() if is_distributor(e) %}
            select
                '{{ e.vendor }}' as vendor,
                '{{ e.endpoint }}' as endpoint,
                items.connection_id,
                items.tenant_id,
                lower(items.company_id) as company_id,
                items.subscription_id,
                items.product_id,
                items.quantity,
                items.cost_amount,
                upper(items.currency) as currency,
                items.period_starts_on,
                items.period_ends_on
            from {{ ref("stg_" ~ e.vendor ~ "__invoice_items") }} as items
            inner join
                {{ ref("stg_" ~ e.vendor ~ "__invoices") }} as invoices
                on invoices.connection_id = items.connection_id
                and invoices.tenant_id = items.tenant_id
                and invoices.invoice_id = items.invoice_id
                and invoices.valid_to is null
                and not coalesce(invoices.is_void, false)
            where items.valid_to is null and items.is_recurring and lower(coalesce(items.term, '')) not like '%arrears%'
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    -- Also what is listed no more, or was cancelled: it was invoiced while it ran.
    subscriptions as (
        {% for e in countable_endpoints() if is_distributor(e) %}
            select
                records.connection_id,
                records.tenant_id,
                records.record_id,
                records.product_id,
                records.parent_subscription_id is not null as is_add_on,
                classified.service_id,
                row_number() over (
                    partition by records.connection_id, records.tenant_id, records.record_id
                    order by classified.start_on desc, records.valid_from desc
                ) as place
            from {{ ref("stg_" ~ e.vendor ~ "__" ~ e.endpoint) }} as records
            inner join
                {{ ref("int_records_classified") }} as classified
                on classified.vendor = '{{ e.vendor }}'
                and classified.record_path
                = records.connection_id || '|' || records.tenant_id || '|{{ e.endpoint }}|' || records.record_key
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    sold as (select * from subscriptions where place = 1),

    -- A line whose subscription was never listed is of the same service as others of its product, if they agree.
    products as (
        select connection_id, tenant_id, product_id, min(service_id) as service_id
        from sold
        where not is_add_on and service_id is not null
        group by connection_id, tenant_id, product_id
        having min(service_id) = max(service_id)
    ),

    billed as (
        select
            lines.*,
            companies.client_id,
            case when sold.record_id is null then products.service_id else sold.service_id end as service_id,
            cast({{ dbt.date_trunc("month", "lines.period_starts_on") }} as date) as period_month,
            lines.period_ends_on > {{ plus_days(31, "lines.period_starts_on") }} as is_long
        from lines
        inner join
            {{ ref("company_mappings") }} as companies
            on companies.connection_id = lines.connection_id
            and lower(companies.company_id) = lines.company_id
            and companies.pattern is null
            and {{ is_in_force("lines.period_starts_on", "companies.effective_from", "companies.effective_to") }}
        left join
            sold
            on sold.connection_id = lines.connection_id
            and sold.tenant_id = lines.tenant_id
            and sold.record_id = lines.subscription_id
        left join
            products
            on products.connection_id = lines.connection_id
            and products.tenant_id = lines.tenant_id
            and products.product_id = lines.product_id
        where not coalesce(sold.is_add_on, false)
    )

select
    client_id,
    service_id,
    period_month,
    cast(sum(quantity) as decimal(18, 4)) as quantity,
    -- A price for a year is no price for a month, and amounts of two currencies are no sum.
    case
        when
            count(distinct currency) = 1
            and max(case when is_long then 1 else 0 end) = 0
            and count(cost_amount) = count(*)
        then cast(sum(cost_amount) as decimal(18, 4))
    end as cost_amount,
    case when count(distinct currency) = 1 then max(currency) end as currency,
    min(vendor) as vendor
from billed
where service_id is not null
group by client_id, service_id, period_month
