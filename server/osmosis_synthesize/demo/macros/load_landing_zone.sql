{% macro load_landing_zone() %}
    {%- set tables = ["stations", "bikes", "riders", "rentals", "repairs", "card_payments", "wallet_debits"] -%}
    create schema if not exists landing;
    {% for table in tables -%}
    create or replace table landing.{{ table }} as select * from read_csv('landing_zone/{{ table }}.csv', header = true);
    {% endfor %}
{% endmacro %}
