{% snapshot riders_history %}

{{
    config(
        target_schema='snapshots',
        unique_key='rider_id',
        strategy='check',
        check_cols=['plan_code', 'home_station_id', 'email']
    )
}}

select * from {{ ref('stg_riders') }}

{% endsnapshot %}
