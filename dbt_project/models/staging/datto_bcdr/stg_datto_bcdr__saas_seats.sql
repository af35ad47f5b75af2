with versions as ({{ known_versions(source("datto_bcdr", "saas_seats")) }})

select
    connection_id,
    tenant_id,
    record_key,
    id,
    id as record_id,
    -- The organisation is the appliances' own; a customer without one keeps Datto's id for it, which is another number.
    coalesce(organization_id, 'saas:' || saas_customer_id) as company_id,
    coalesce(nullif(organization_name, ''), saas_customer_name, saas_customer_id) as company_name,
    coalesce(name, main_id, id) as record_name,
    seat_type as sku,
    'SaaS Protection seat: ' || seat_type as sku_name,
    record_key as person_key,
    saas_customer_id,
    seat_type,
    main_id,
    name,
    seat_state,
    billable,
    billing,
    saas_customer_name,
    organization_id,
    organization_name,
    product_type,
    nullif(
        concat_ws(
            ', ',
            case when lower(seat_state) = 'paused' then 'backups paused' end,
            case when billing = 'not_said' then 'Datto does not say whether it is billable' end
        ),
        ''
    ) as mark,
    1 as unit_count,
    'licence' as unit,
    valid_from,
    known_valid_to as valid_to

from versions
