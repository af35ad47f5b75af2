select
    drifts.invoice_id,
    drifts.reference,
    drifts.client_id,
    clients.client_name,
    drifts.period_month,
    drifts.currency,
    drifts.total_amount as approved_amount,
    cast(drifts.found_amount as decimal(18, 4)) as found_amount,
    drifts.destination as connection_id,
    drifts.accounting_id,
    drifts.drift,
    'Invoice '
    || drifts.reference
    || ' to '
    || coalesce(clients.client_name, drifts.client_id)
    || ' was posted with '
    || {{ say_money("drifts.total_amount", "drifts.currency") }}
    || case
        drifts.drift
        when 'missing'
        then ' and is not in the accounting system any more'
        when 'voided'
        then ' and was voided in the accounting system'
        when 'duplicated'
        then ' and is in the accounting system more than once (' || drifts.numbers || ')'
        else
            ' and is '
            || {{ say_money("drifts.found_amount", "coalesce(drifts.found_currency, drifts.currency)") }}
            || ' there now'
            || case
                when drifts.is_of_another
                then ', for another customer'
                when drifts.found_amount = drifts.total_amount
                then ', its lines not the approved ones'
                else ''
            end
    end
    || ': ask who changed it, and set one of the two right.' as explanation,
    drifts.last_complete_at as read_back_at
from {{ ref("int_invoice_drifts") }} as drifts
left join {{ ref("int_clients") }} as clients on clients.client_id = drifts.client_id
