with

    excluded as (
        select discrepancy_id, vendor, bucket_reason, count(*) as record_count
        from {{ ref("discrepancy_evidence") }}
        where bucket = 'excluded'
        group by discrepancy_id, vendor, bucket_reason
    ),

    exclusions as (
        select exclusion_id, max(reason) as reason, min(effective_from) as effective_from, max(expires_on) as expires_on
        from {{ ref("int_exclusions_unioned") }}
        group by exclusion_id
    ),

    rules as (
        select vendor, rule_name, min(reason) as reason
        from {{ ref("stg_morton__vendor_rules") }}
        where rule_name <> ''
        group by vendor, rule_name
    )

select
    excluded.discrepancy_id,
    excluded.vendor,
    excluded.bucket_reason,
    case when exclusions.exclusion_id is not null then 'agreed' else 'rule' end as exclusion,
    coalesce(exclusions.reason, rules.reason, excluded.bucket_reason) as reason,
    nullif(exclusions.effective_from, cast('1900-01-01' as date)) as effective_from,
    nullif(exclusions.expires_on, cast('9999-12-31' as date)) as expires_on,
    cast(excluded.record_count as bigint) as record_count
from excluded
left join exclusions on 'exclusion ' || exclusions.exclusion_id = excluded.bucket_reason
left join rules on rules.vendor = excluded.vendor and rules.rule_name = excluded.bucket_reason
