with rentals as (

    select * from {{ ref('stg_rentals') }}

),

bikes as (

    select * from {{ ref('stg_bikes') }}

),

final as (

    select
        rentals.rental_id,
        rentals.rider_id,
        rentals.bike_id,
        bikes.model_code,
        rentals.start_station_id,
        rentals.end_station_id,
        rentals.started_at,
        rentals.ended_at,
        rentals.rental_status,
        rentals.distance_km,
        date_diff('minute', rentals.started_at, rentals.ended_at) as duration_minutes,
        rentals.start_station_id = rentals.end_station_id as is_round_trip,
        row_number() over (partition by rentals.rider_id order by rentals.started_at) as rider_trip_number
    from rentals
    inner join bikes on rentals.bike_id = bikes.bike_id

)

select * from final
