with monthly as (

    select
        cast(date_trunc('month', paid_at) as date) as revenue_month,
        payment_method,
        sum(amount) as revenue
    from {{ ref('int_payments_unioned') }}
    group by 1, 2

)

select
    revenue_month,
    payment_method,
    revenue,
    sum(revenue) over (partition by payment_method order by revenue_month) as running_revenue
from monthly
