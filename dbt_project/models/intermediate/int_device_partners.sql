-- Every record that is, or could be, the same machine on another tool's list, from either side.
with

    sides as (
        select left_path as record_path, right_path as partner_path, matched_by, is_match
        from {{ ref("int_devices_matched") }}
        union all
        select right_path as record_path, left_path as partner_path, matched_by, is_match
        from {{ ref("int_devices_matched") }}
    )

select
    own.client_id,
    sides.record_path,
    own.category,
    sides.partner_path,
    partners.category as partner_category,
    partners.category_rank as partner_rank,
    partners.vendor as partner_vendor,
    partners.record_id as partner_id,
    partners.record_name as partner_name,
    partners.device_class as partner_class,
    sides.matched_by,
    sides.is_match
from sides
inner join {{ ref("int_devices_unioned") }} as own on own.record_path = sides.record_path
inner join {{ ref("int_devices_unioned") }} as partners on partners.record_path = sides.partner_path
