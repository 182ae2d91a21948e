select
    station_code as station_id,
    station_name,
    district,
    docks as dock_count,
    cast(opened_on as date) as opened_on,
    is_kiosk as has_kiosk
from {{ source('landing', 'stations') }}
