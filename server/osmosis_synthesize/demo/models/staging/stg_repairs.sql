select
    ticket_no as repair_id,
    bike_no as bike_id,
    cast(reported_on as date) as reported_on,
    cast(fixed_on as date) as fixed_on,
    fault_code,
    parts_cents / 100 as parts_cost,
    labour_minutes
from {{ source('landing', 'repairs') }}
