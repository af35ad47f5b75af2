-- The stretches of time in which every mapping stays as it is: one where no mapping carries dates.
with

    boundaries as (
        select cast('1900-01-01' as date) as era_from
        union
        select effective_from
        from {{ ref("company_mappings") }}
        where effective_from is not null
        union
        select effective_to
        from {{ ref("company_mappings") }}
        where effective_to is not null
        union
        select effective_from
        from {{ ref("service_mappings") }}
        where effective_from is not null
        union
        select effective_to
        from {{ ref("service_mappings") }}
        where effective_to is not null
    )

select era_from, coalesce(lead(era_from) over (order by era_from), cast('9999-12-31' as date)) as era_to
from boundaries
