select
    rental_id,
    started_at,
    ended_at
from {{ ref('fct_rentals') }}
where ended_at < started_at
