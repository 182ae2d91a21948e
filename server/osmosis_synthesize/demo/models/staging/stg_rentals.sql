with source as (

    select * from {{ source('landing', 'rentals') }}

),

final as (

    select
        rental_id,
        rider as rider_id,
        bike_no as bike_id,
        from_station as start_station_id,
        to_station as end_station_id,
        cast(started_at as timestamp) as started_at,
        cast(ended_at as timestamp) as ended_at,
        status as rental_status,
        distance_m / 1000 as distance_km
    from source

)

select * from final
