-- Where a record that counted stopped to, one that did not began to, or one that counts turned into something else: how
-- it stood on the day before and how on the day itself. What a first reading lists was there before: it turned nothing.
with

    ended as (select * from {{ ref("int_spells") }} where spell_to < cast('9999-12-31' as date)),

    begun as (
        select
            spells.*,
            ended.client_id as from_client_id,
            ended.service_id as from_service_id,
            ended.standing as from_standing,
            ended.standing_reason as from_reason,
            ended.mark as from_mark,
            ended.unit_count as from_quantity
        from {{ ref("int_spells") }} as spells
        left join
            ended
            on ended.vendor = spells.vendor
            and ended.record_path = spells.record_path
            and ended.spell_to = spells.spell_from
        left join
            {{ ref("int_first_observed") }} as observed
            on observed.client_id = spells.client_id
            and observed.service_id = spells.service_id
            and observed.vendor = spells.vendor
        where ended.record_path is not null or spells.spell_from > observed.first_observed_on
    ),

    gone as (
        select ended.*
        from ended
        left join
            {{ ref("int_spells") }} as spells
            on spells.vendor = ended.vendor
            and spells.record_path = ended.record_path
            and spells.spell_from = ended.spell_to
        where spells.record_path is null
    )

select
    vendor,
    connection_id,
    record_path,
    record_id,
    record_name,
    person_key,
    sku,
    spell_from as turned_on,
    from_client_id,
    from_service_id,
    from_standing,
    from_reason,
    from_mark,
    from_quantity,
    client_id as to_client_id,
    service_id as to_service_id,
    standing as to_standing,
    standing_reason as to_reason,
    mark as to_mark,
    unit_count as to_quantity
from begun
union all
select
    vendor,
    connection_id,
    record_path,
    record_id,
    record_name,
    person_key,
    sku,
    spell_to as turned_on,
    client_id as from_client_id,
    service_id as from_service_id,
    standing as from_standing,
    standing_reason as from_reason,
    mark as from_mark,
    unit_count as from_quantity,
    cast(null as {{ dbt.type_string() }}) as to_client_id,
    cast(null as {{ dbt.type_string() }}) as to_service_id,
    cast(null as {{ dbt.type_string() }}) as to_standing,
    cast(null as {{ dbt.type_string() }}) as to_reason,
    cast(null as {{ dbt.type_string() }}) as to_mark,
    cast(null as decimal(18, 4)) as to_quantity
from gone
