with source as (

    select * from {{ source('landing', 'riders') }}

),

renamed as (

    select
        id as rider_id,
        full_name,
        lower(email) as email,
        plan_code,
        home_station as home_station_id,
        cast(signed_up_at as timestamp) as signed_up_at,
        updated_at
    from source

)

select * from renamed
