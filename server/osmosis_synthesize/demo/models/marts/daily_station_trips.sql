with daily as (

    select
        start_station_id as station_id,
        cast(started_at as date) as trip_date,
        count(*) as trips,
        count(distinct rider_id) as riders,
        sum(distance_km) as distance_km
    from {{ ref('fct_rentals') }}
    group by 1, 2

),

final as (

    select
        *,
        rank() over (partition by trip_date order by trips desc) as busiest_rank
    from daily

)

select * from final
