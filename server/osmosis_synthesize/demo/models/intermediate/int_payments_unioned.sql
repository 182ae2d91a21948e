{{ config(materialized='ephemeral') }}

with card as (

    select * from {{ ref('stg_card_payments') }}

),

wallet as (

    select * from {{ ref('stg_wallet_debits') }}

),

final as (

    select * from card
    union all
    select * from wallet

)

select * from final
