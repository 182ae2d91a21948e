with stations as (

    select * from {{ ref('stg_stations') }}

),

departures as (

    select
        start_station_id as station_id,
        count(*) as trips_started,
        min(started_at) as first_trip_at
    from {{ ref('fct_rentals') }}
    group by start_station_id

),

final as (

    select
        stations.*,
        coalesce(departures.trips_started, 0) as trips_started,
        departures.first_trip_at
    from stations
    left join departures on stations.station_id = departures.station_id

)

select * from final
