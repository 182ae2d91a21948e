with riders as (

    select * from {{ ref('riders_history') }}
    where dbt_valid_to is null

),

plans as (

    select * from {{ ref('membership_plans') }}

),

trips as (

    select
        rider_id,
        count(*) as trip_count,
        sum(amount_paid) as lifetime_value
    from {{ ref('fct_rentals') }}
    group by rider_id

),

final as (

    select
        riders.rider_id,
        riders.full_name as rider_name,
        riders.email,
        riders.plan_code,
        plans.plan_name,
        plans.monthly_fee_cents / 100 as monthly_fee,
        riders.home_station_id,
        riders.signed_up_at,
        riders.dbt_valid_from as details_valid_from,
        coalesce(trips.trip_count, 0) as trip_count,
        coalesce(trips.lifetime_value, 0) as lifetime_value
    from riders
    left join plans on riders.plan_code = plans.plan_code
    left join trips on riders.rider_id = trips.rider_id

)

select * from final
