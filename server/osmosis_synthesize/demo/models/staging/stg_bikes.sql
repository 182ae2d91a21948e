with source as (

    select * from {{ source('landing', 'bikes') }}

),

final as (

    select
        bike_no as bike_id,
        model_code,
        upper(frame_size) as frame_size,
        cast(purchased_on as date) as purchased_on,
        purchase_price_cents / 100 as purchase_price,
        cast(retired_on as date) as retired_on,
        retired_on is null as is_in_service
    from source

)

select * from final
