select
    bike_id,
    count(*) as repair_count,
    sum(parts_cost) as parts_cost_total,
    max(reported_on) as last_reported_on
from {{ ref('stg_repairs') }}
group by bike_id
