-- What clients have bought and what is assigned, record by
-- record as it stands now, each with the service it is sold as.
with

    spells as (
        select spells.*, roles.counts, roles.is_distributor
        from {{ ref("int_spells") }} as spells
        inner join
            {{ ref("int_list_roles") }} as roles
            on roles.vendor = spells.vendor
            and roles.endpoint = spells.endpoint
            and roles.counts in ('purchased', 'assigned')
        -- What is held within another SKU uses up no licence of its own.
        where
            spells.is_current
            and not spells.is_within
            and spells.client_id is not null
            and spells.standing <> 'internal'
    ),

    skus as (
        select distinct vendor, counts, lower(sku) as sku
        from spells
        where service_id is null and service_reason is null
    ),

    -- Only one list of a vendor is mapped to a service; on its other one the same SKU is the same service.
    mapped as (
        select
            skus.vendor,
            skus.counts,
            skus.sku,
            patterns.names as service_id,
            row_number() over (
                partition by skus.vendor, skus.counts, skus.sku
                order by patterns.priority, patterns.specificity desc, patterns.pattern_key
            ) as place
        from skus
        inner join
            {{ ref("int_patterns") }} as patterns
            on patterns.vendor = skus.vendor
            and patterns.purpose = 'service'
            and patterns.field = 'sku_part_number'
            and skus.sku like patterns.like_pattern escape '!'
        inner join
            {{ ref("int_list_roles") }} as others
            on others.vendor = patterns.vendor
            and others.endpoint = patterns.endpoint
            and others.counts in ('purchased', 'assigned')
            and others.counts <> skus.counts
        cross join {{ ref("stg_morton__clock") }} as clock
        where
            {{ is_in_force(local_date("clock.as_of_at", "'UTC'"), "patterns.effective_from", "patterns.effective_to") }}
    ),

    -- A rule about a column that the list of purchases has too is about the subscription; any other is about who holds
    -- it, and a licence nobody is billed for is used up as well.
    subscription_rules as (
        select cast(null as {{ dbt.type_string() }}) as vendor, 'free_or_trial_sku' as rule_name
        {% for e in countable_endpoints() if e.counts == "purchased" %}
            union all
            select distinct vendor, names as rule_name
            from {{ ref("int_patterns") }}
            where vendor = '{{ e.vendor }}' and purpose = 'rule' and field in ('{{ e.fields | join("', '") }}')
        {% endfor %}
    ),

    lapsed as (
        select distinct spells.vendor, spells.rule_name
        from spells
        inner join
            subscription_rules
            on subscription_rules.rule_name = spells.rule_name
            and coalesce(subscription_rules.vendor, spells.vendor) = spells.vendor
    )

select
    spells.client_id,
    coalesce(spells.service_id, mapped.service_id) as service_id,
    spells.counts,
    spells.vendor,
    spells.is_distributor,
    spells.connection_id,
    spells.record_path,
    spells.record_id,
    spells.record_name,
    spells.standing,
    spells.standing_reason,
    spells.unit_count as quantity,
    spells.is_redundant,
    spells.stood_from
from spells
left join
    mapped
    on spells.service_id is null
    and spells.service_reason is null
    and mapped.vendor = spells.vendor
    and mapped.counts = spells.counts
    and mapped.sku = lower(spells.sku)
    and mapped.place = 1
left join lapsed on lapsed.vendor = spells.vendor and lapsed.rule_name = spells.rule_name
where
    coalesce(spells.service_id, mapped.service_id) is not null
    and case when spells.counts = 'purchased' then spells.standing <> 'excluded' else lapsed.rule_name is null end
