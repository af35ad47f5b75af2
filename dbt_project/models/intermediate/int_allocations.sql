-- Which rows of company_mappings.csv a record fits, in companies that several clients share: each such row names a
-- column of the record and what it must read. The field is data, so each endpoint looks its columns up by name.
with

    shares as (
        select
            connection_id,
            lower(company_id) as company_id,
            client_id,
            field,
            pattern,
            {{ glob_to_like("pattern") }} as like_pattern,
            {{ specificity("pattern") }} as specificity,
            effective_from,
            effective_to
        from {{ ref("company_mappings") }}
        where pattern is not null
    )

{% for e in countable_endpoints() %}
    select
        {{ vendor_of(e) }} as vendor,
        records.connection_id || '|' || records.tenant_id || '|{{ e.endpoint }}|' || records.record_key as record_path,
        records.valid_from,
        shares.client_id,
        shares.field,
        shares.pattern,
        shares.specificity,
        shares.effective_from,
        shares.effective_to
    from {{ ref("stg_" ~ e.vendor ~ "__" ~ e.endpoint) }} as records
    inner join
        shares
        on shares.connection_id = records.connection_id
        and shares.company_id = lower(records.company_id)
        and case
            shares.field {% for field in e.fields %} when '{{ field }}' then lower(records.{{ field }}) {% endfor %}
        end
        like shares.like_pattern escape '!'
    {% if not loop.last %}
        union all
    {% endif %}
{% endfor %}
