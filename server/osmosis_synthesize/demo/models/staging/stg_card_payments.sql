select
    payment_id,
    rental_id,
    'card' as payment_method,
    amount_cents / 100 as amount,
    captured_at as paid_at
from {{ source('billing', 'card_payments') }}
