with bikes as (

    select * from {{ ref('stg_bikes') }}

),

bike_models as (

    select * from {{ ref('bike_models') }}

),

repairs as (

    select * from {{ ref('int_repairs_by_bike') }}

),

final as (

    select
        bikes.bike_id,
        bikes.model_code,
        bike_models.model_name,
        bike_models.is_electric,
        bikes.purchased_on,
        bikes.purchase_price,
        bikes.is_in_service,
        coalesce(repairs.repair_count, 0) as repair_count,
        repairs.last_reported_on as last_repair_reported_on
    from bikes
    left join bike_models on bikes.model_code = bike_models.model_code
    left join repairs on bikes.bike_id = repairs.bike_id

)

select * from final
