{{ config(materialized='incremental', unique_key='rental_id') }}

with rentals as (

    select * from {{ ref('int_rentals_timed') }}

),

payments as (

    select
        rental_id,
        sum(amount) as amount_paid,
        max(paid_at) as last_paid_at
    from {{ ref('int_payments_unioned') }}
    group by rental_id

),

final as (

    select
        rentals.rental_id,
        rentals.rider_id,
        rentals.bike_id,
        rentals.start_station_id,
        rentals.end_station_id,
        rentals.started_at,
        rentals.ended_at,
        rentals.rental_status as status,
        rentals.duration_minutes,
        rentals.distance_km,
        rentals.is_round_trip,
        rentals.rider_trip_number,
        coalesce(payments.amount_paid, 0) as amount_paid,
        payments.last_paid_at
    from rentals
    left join payments on rentals.rental_id = payments.rental_id

)

select * from final
{% if is_incremental() %}
where started_at >= (select max(started_at) from {{ this }})
{% endif %}
