select
    debit_id as payment_id,
    rental_id,
    'wallet' as payment_method,
    amount_cents / 100 as amount,
    debited_at as paid_at
from {{ source('billing', 'wallet_debits') }}
