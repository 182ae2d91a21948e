with bikes as (

    select * from {{ ref('stg_bikes') }}

),

repairs as (

    select * from {{ ref('int_repairs_by_bike') }}

),

final as (

    select
        bikes.bike_id,
        bikes.model_code,
        bikes.frame_size,
        bikes.purchased_on,
        bikes.purchase_price,
        bikes.is_in_service,
        coalesce(repairs.repair_count, 0) as repair_count
    from bikes
    left join repairs on bikes.bike_id = repairs.bike_id

)

select * from final
