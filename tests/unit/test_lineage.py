"""What each column of a query is made of: a table of SQL, and what holds for any SQL.

The table reads like this, one entry a column, in the query's order::

    id = orders.id                     passed through from that column of that parent
    order_id <- orders.id              renamed
    amount :: orders.amount            cast
    total ~ orders.amount [aggregate]  derived from these columns, with what the lineage notes
    x ?                                unknown
    ...                                there may be columns that are not listed

The parents are ``orders``, ``customers`` and ``payments``, whose columns are all known; ``ledger``, of which a schema
file names two columns; and ``events`` and ``clicks``, of which nothing is known.
"""

from __future__ import annotations

import re

import msgspec
import pytest
import sqlglot.lineage
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp
from sqlglot.errors import SqlglotError

from osmosis_synthesize.manifest.lineage import trace
from osmosis_synthesize.manifest.model import Node, NodeLineage

SCHEMA = {
    "model.shop.orders": ("id", "customer_id", "amount", "status", "tags", "created_at"),
    "model.shop.customers": ("id", "name", "email"),
    "source.shop.raw.payments": ("id", "order_id", "amount_cents", "method"),
}
DECLARED = {"model.shop.ledger": ("id", "code")}


def make_node(unique_id: str, **given_values: object) -> Node:
    kind, package, *_, name = unique_id.split(".")
    values: dict[str, object] = {
        "unique_id": unique_id,
        "resource_type": kind,
        "name": name,
        "package_name": package,
        "path": f"models/{name}.sql",
        "schema_path": None,
        "schema_package": package,
        "database": "Analytics",
        "schema": "main",
        "alias": name,
    }
    return msgspec.convert(values | given_values, Node)


PARENTS = [
    make_node("model.shop.orders"),
    make_node("model.shop.customers"),
    make_node("source.shop.raw.payments", source_name="raw"),
    make_node("model.shop.ledger"),
    make_node("model.shop.events"),
    make_node("model.shop.clicks"),
]
MODEL = make_node("model.shop.report", depends_on=[parent.unique_id for parent in PARENTS])


def lineage_of(sql: str, dialect: str = "postgres") -> NodeLineage:
    return trace(MODEL, sql, dialect=dialect, parents=PARENTS, schema=SCHEMA, declared=DECLARED, time_limit=30)


SIGNS = {"pass-through": "=", "renamed": "<-", "cast": "::", "derived": "~", "unknown": "?"}


def in_short(lineage: NodeLineage) -> str:
    """A lineage in the table's notation."""
    if lineage.problem is not None:
        return f"! {lineage.problem}"
    parts: list[str] = []
    for column in lineage.columns:
        sources = " ".join(f"{unique_id.split('.')[-1]}.{name}" for unique_id, name in column.sources)
        note = f"[{column.note}]" if column.note else ""
        parts.append(" ".join(filter(None, (column.name, SIGNS[column.kind], sources, note))))
    return "; ".join([*parts, *([] if lineage.complete else ["..."])])


ALL = "snowflake bigquery postgres duckdb redshift databricks"
STAR = (
    "id = orders.id; customer_id = orders.customer_id; amount = orders.amount; status = orders.status; "
    "tags = orders.tags; created_at = orders.created_at"
)

PLAIN = [
    (ALL, "select id, status from orders", "id = orders.id; status = orders.status"),
    (ALL, "select id as order_id from orders", "order_id <- orders.id"),
    (ALL, "select o.id order_id from orders as o", "order_id <- orders.id"),
    (ALL, "select orders.id from orders", "id = orders.id"),
    (ALL, "select ID, Status as STATUS from orders", "ID = orders.id; STATUS = orders.status"),
    (ALL, "select (id) as id, ((amount)) as paid from orders", "id = orders.id; paid <- orders.amount"),
    (ALL, "select amount / 100 as amount from orders", "amount ~ orders.amount"),
    (ALL, "select 1 as one, 'a' as letter, true as yes", "one ~ [literal]; letter ~ [literal]; yes ~ [literal]"),
    (ALL, "select null as nothing, cast(null as date) as day from orders", "nothing ~ [literal]; day ~ [literal]"),
    (ALL, "select current_date as today from orders", "today ~"),
    (ALL, "select upper(status) as status from orders", "status ~ orders.status"),
    (ALL, "select -amount as amount from orders", "amount ~ orders.amount"),
    (ALL, "select id = customer_id as same from orders", "same ~ orders.id orders.customer_id"),
    (
        ALL,
        "select case when status = 'x' then amount else 0 end as kept from orders",
        "kept ~ orders.status orders.amount",
    ),
    (ALL, "select amount + amount * amount as n from orders", "n ~ orders.amount"),
    (ALL, "select status from orders order by amount limit 3", "status = orders.status"),
    (ALL, "select distinct status from orders", "status = orders.status"),
    (ALL, "select id -- {{ ref('x') }}, drop everything\n from orders /* select 1 */", "id = orders.id"),
    ("postgres duckdb redshift snowflake", 'select "id" as "Order Id" from orders', "Order Id <- orders.id"),
    ("bigquery databricks", "select `id` as `Order Id` from orders", "Order Id <- orders.id"),
    ("snowflake", 'select ID, "ID" as ID2 from orders', "ID = orders.id; ID2 <- orders.id"),
    ("postgres", 'select id, status as "Id" from orders', "id = orders.id; Id <- orders.status"),
    ("duckdb", "from orders select id", "id = orders.id"),
    ("duckdb", "from orders", STAR),
    (ALL, "select nowhere from orders", "nowhere ?"),
    (ALL, "select id from warehouse.other.hard_coded", "id ?"),
    (ALL, "select * from warehouse.other.hard_coded", "..."),
    (ALL, "select o.id, h.x from orders o join warehouse.other.hard_coded h on true", "id = orders.id; x ?"),
    (ALL, "select amount as a, status as a from orders", "a ? [ambiguous]"),
    (ALL, "select amount, sum(id) from orders group by 1", "amount = orders.amount; ..."),
]

CASTS = [
    (ALL, "select cast(id as varchar) as id from orders", "id :: orders.id"),
    (ALL, "select cast(cast(id as varchar) as int) as key from orders", "key :: orders.id"),
    ("snowflake postgres duckdb redshift databricks", "select id::int as id from orders", "id :: orders.id"),
    ("postgres redshift", "select id::text from orders", "id :: orders.id"),
    ("snowflake duckdb databricks", "select try_cast(id as int) as key from orders", "key :: orders.id"),
    ("bigquery", "select safe_cast(id as int64) as id from orders", "id :: orders.id"),
    ("redshift", "select convert(int, id) as id from orders", "id :: orders.id"),
    (ALL, "select cast(amount / 100 as int) as amount from orders", "amount ~ orders.amount"),
    (ALL, "select cast(id as int) + 1 as next from orders", "next ~ orders.id"),
    ("bigquery snowflake", "select cast(status as date format 'YYYY') as day from orders", "day ~ orders.status"),
    ("bigquery", "select cast(created_at as string format 'YYYY') as year from orders", "year ~ orders.created_at"),
    ("snowflake", "select to_date(status) as day from orders", "day ~ orders.status"),
    (
        ALL,
        "with c as (select cast(id as int) as k from orders) select cast(k as varchar) as t from c",
        "t :: orders.id",
    ),
    (ALL, "select cast(nowhere as int) as x from orders", "x ?"),
    (ALL, "select cast(sum(amount) as int) as total from orders", "total ~ orders.amount [aggregate]"),
]

STARS = [
    (ALL, "select * from orders", STAR),
    (ALL, "select o.* from orders o", STAR),
    (ALL, "select orders.* from orders join customers on true", STAR),
    (
        ALL,
        "select c.*, p.method from customers c, payments p",
        "id = customers.id; name = customers.name; email = customers.email; method = payments.method",
    ),
    (
        ALL,
        "select * from customers c join payments p on true",
        (
            "id ? [ambiguous]; name = customers.name; "
            "email = customers.email; order_id = payments.order_id; amount_cents = payments.amount_cents; "
            "method = payments.method"
        ),
    ),
    (
        "bigquery databricks",
        "select * except (tags, created_at, status) from orders",
        "id = orders.id; customer_id = orders.customer_id; amount = orders.amount",
    ),
    (
        "snowflake duckdb",
        "select * exclude (tags, created_at, status) from orders",
        "id = orders.id; customer_id = orders.customer_id; amount = orders.amount",
    ),
    ("snowflake", "select * exclude email from customers", "id = customers.id; name = customers.name"),
    (
        "snowflake",
        "select * exclude (email) rename (id as customer_id) from customers",
        "customer_id <- customers.id; name = customers.name",
    ),
    ("snowflake", "select * ilike '%am%' from customers", "name = customers.name"),
    (
        "bigquery duckdb",
        "select * replace (lower(email) as email) from customers",
        "id = customers.id; name = customers.name; email ~ customers.email",
    ),
    (
        "snowflake",
        "select c.* exclude (id, email), o.id from customers c join orders o on true",
        "name = customers.name; id = orders.id",
    ),
    (ALL, "select * from events", "..."),
    (ALL, "select id, * from events", "id = events.id; ..."),
    (ALL, "select *, lower(kind) as kind_lower from events", "kind_lower ~ events.kind; ..."),
    (ALL, "select * from ledger", "id = ledger.id; code = ledger.code; ..."),
    ("bigquery", "select * replace (lower(kind) as kind) from events", "kind ~ events.kind; ..."),
    ("duckdb", "select columns('i.*') from customers", "..."),
    ("bigquery", "select as struct id, amount from orders", "..."),
    (ALL, "select __unresolved__, id from orders", "id = orders.id; ..."),
    (ALL, "select __unresolved__ as x, sum(__unresolved__) as y from orders", "x ? [unresolved]; y ~ [aggregate]"),
    (ALL, "select id from __unresolved__", "id ?"),
]

CHAINS = [
    (ALL, "with j as (select o.id, c.id from orders o, customers c) select id from j", "id ? [ambiguous]"),
    (ALL, "with j as (select o.id, o.id from orders o) select id from j", "id = orders.id"),
    (ALL, "with a as (select * from orders) select * from a", STAR),
    (
        ALL,
        "with a as (select id as k from orders), b as (select k as kk from a) select kk as id from b",
        "id = orders.id",
    ),
    (
        ALL,
        "with a as (select id k from orders), final as (select k as order_id from a) select * from final",
        "order_id <- orders.id",
    ),
    (ALL, "select x.k from (select id as k from orders) as x", "k <- orders.id"),
    (ALL, "select k from (select k from (select id as k from orders) a) b", "k <- orders.id"),
    (
        ALL,
        "with orders as (select id as status from analytics.main.orders) select status from orders",
        "status <- orders.id",
    ),
    (
        ALL,
        "with a as (select 1 as one) select a.one, o.id from a cross join orders o",
        "one ~ [literal]; id = orders.id",
    ),
    (
        ALL,
        "with a as (select sum(amount) as s from orders) select s / 2 as half from a",
        "half ~ orders.amount [aggregate]",
    ),
    (ALL, "with a as (with b as (select id from orders) select id as k from b) select k from a", "k <- orders.id"),
    (
        ALL,
        "with a as (select * from events) select kind as k, sum(n) as n from a group by 1",
        "k <- events.kind; n ~ events.n [aggregate]",
    ),
    (
        ALL,
        "with a as (select *, n * 2 as twice from events) select kind, twice from a",
        "kind = events.kind; twice ~ events.n",
    ),
    (
        ALL,
        "with a as (select * from events), b as (select *, 1 as v from a), c as (select * from b) select v, kind from c",
        "v ~ [literal]; kind = events.kind",
    ),
    (ALL, "with a as (select * from events e join clicks c on e.id = c.id) select kind from a", "kind ?"),
    (
        ALL,
        "with a as (select e.*, c.url from events e join clicks c on true) select kind, url from a",
        "kind = events.kind; url = clicks.url",
    ),
    (
        ALL,
        "with unused as (select nothing from nowhere), a as (select id from orders) select * from a",
        "id = orders.id",
    ),
    (
        "postgres duckdb redshift",
        "with a(k, v) as (select id, amount from orders) select v, k from a",
        "v <- orders.amount; k <- orders.id",
    ),
    (
        "postgres duckdb",
        "select t.a, b from (select id, status from orders) as t(a, b)",
        "a <- orders.id; b <- orders.status",
    ),
    ("bigquery", "with a as (select * except (kind) from events) select kind, n from a", "kind ?; n = events.n"),
    (
        "snowflake",
        "with a as (select * rename (kind as type) from events) select type, n from a",
        "type <- events.kind; n = events.n",
    ),
    (
        "postgres",
        'with a as (select id as "Id", status as id from orders) select "Id" as x, id as y from a',
        "x <- orders.id; y <- orders.status",
    ),
]

JOINS = [
    (
        ALL,
        "select o.id, c.name from orders o left join customers c on o.customer_id = c.id",
        "id = orders.id; name = customers.name",
    ),
    (
        ALL,
        "select amount, name from orders join customers on customer_id = customers.id",
        "amount = orders.amount; name = customers.name",
    ),
    (ALL, "select id from orders join customers on true", "id ? [ambiguous]"),
    (ALL, "select id, name from orders join customers using (id)", "id = orders.id; name = customers.name"),
    (ALL, "select id from orders right join customers using (id)", "id = customers.id"),
    (ALL, "select id from orders full outer join customers using (id)", "id ~ orders.id customers.id [coalesce]"),
    (
        ALL,
        "select id, name, method from orders left join customers using (id) left join payments using (id)",
        "id = orders.id; name = customers.name; method = payments.method",
    ),
    (ALL, "select customers.id from orders join customers using (id)", "id = customers.id"),
    (
        "postgres bigquery snowflake duckdb",
        "select * from customers join payments using (id)",
        (
            "id = customers.id; name = customers.name; email = customers.email; order_id = payments.order_id; "
            "amount_cents = payments.amount_cents; method = payments.method"
        ),
    ),
    (
        "duckdb",
        "select * exclude (email, amount_cents) from customers join payments using (id)",
        "id = customers.id; name = customers.name; order_id = payments.order_id; method = payments.method",
    ),
    (
        "postgres snowflake duckdb",
        "select id, name, amount from orders natural join customers",
        "id = orders.id; name = customers.name; amount = orders.amount",
    ),
    ("snowflake", "select id from events natural join customers", "id ?"),
    (ALL, "select name, kind from customers join events on true", "name = customers.name; kind = events.kind"),
    (ALL, "select kind from events join clicks on true", "kind ? [ambiguous]"),
    (ALL, "select id from events join clicks using (id)", "id = events.id"),
    (ALL, "select code, kind from ledger join events on true", "code = ledger.code; kind ? [ambiguous]"),
    (
        ALL,
        "select a.id, b.status from orders a join orders b on a.id = b.customer_id",
        "id = orders.id; status = orders.status",
    ),
    (
        ALL,
        (
            "select o.id, p.total from orders o left join (select order_id, sum(amount_cents) as total from payments "
            "group by 1) p on p.order_id = o.id"
        ),
        "id = orders.id; total ~ payments.amount_cents [aggregate]",
    ),
    (
        "postgres",
        "select * from (customers join payments using (id)) where true",
        (
            "id = customers.id; name = customers.name; email = customers.email; order_id = payments.order_id; "
            "amount_cents = payments.amount_cents; method = payments.method"
        ),
    ),
    (
        "duckdb databricks",
        "select * from customers semi join orders on customers.id = orders.customer_id",
        "id = customers.id; name = customers.name; email = customers.email",
    ),
    (
        "snowflake duckdb",
        "select o.id, p.method from orders o asof join payments p on o.id >= p.id",
        "id = orders.id; method = payments.method",
    ),
    (
        "postgres",
        "select id, analytics.main.customers.name from orders, customers",
        "id ? [ambiguous]; name = customers.name",
    ),
]

NAMES = [
    ("postgres redshift duckdb", 'select id from "Analytics"."main"."orders"', "id = orders.id"),
    ("snowflake", "select id from ANALYTICS.MAIN.ORDERS", "id = orders.id"),
    ("bigquery", "select id from `Analytics`.`main`.`orders`", "id = orders.id"),
    ("bigquery", "select id from `analytics.main.orders`", "id = orders.id"),
    ("databricks", "select id from `main`.`orders`", "id = orders.id"),
    (ALL, "select id from analytics.elsewhere.orders", "id ?"),
    (ALL, "with __dbt__cte__events as (select 1 as kind) select kind from __dbt__cte__events", "kind = events.kind"),
]

COMPUTED = [
    (ALL, "select coalesce(id, customer_id) as id from orders", "id ~ orders.id orders.customer_id [coalesce]"),
    (ALL, "select coalesce(amount, 0) as amount from orders", "amount ~ orders.amount [default]"),
    (ALL, "select coalesce(lower(status), email) as x from orders, customers", "x ~ orders.status customers.email"),
    (
        "snowflake redshift",
        "select nvl(id, customer_id) as id from orders",
        "id ~ orders.id orders.customer_id [coalesce]",
    ),
    (
        "bigquery duckdb",
        "select ifnull(id, customer_id) as id from orders",
        "id ~ orders.id orders.customer_id [coalesce]",
    ),
    (ALL, "select sum(amount) as amount from orders", "amount ~ orders.amount [aggregate]"),
    (ALL, "select max(created_at) as created_at from orders", "created_at ~ orders.created_at [aggregate]"),
    (ALL, "select min(id) as id, count(*) as n from orders", "id ~ orders.id [aggregate]; n ~ [aggregate]"),
    (ALL, "select count(distinct customer_id) as buyers from orders", "buyers ~ orders.customer_id [aggregate]"),
    (ALL, "select sum(amount) / count(*) as mean from orders", "mean ~ orders.amount [aggregate]"),
    (
        ALL,
        "select row_number() over (partition by status order by id) as n from orders",
        "n ~ orders.status orders.id [window]",
    ),
    (
        ALL,
        "select sum(amount) over (order by id) as running from orders",
        "running ~ orders.amount orders.id [window]",
    ),
    (
        "snowflake bigquery duckdb databricks",
        "select id from orders qualify row_number() over (partition by customer_id order by created_at) = 1",
        "id = orders.id",
    ),
    (ALL, "select (select max(name) from customers) as best from orders", "best ~ customers.name [subquery]"),
    (
        ALL,
        "select (select name from customers c where c.id = o.customer_id) as name from orders o",
        "name ~ customers.name [subquery]",
    ),
    (
        ALL,
        "select exists (select 1 from customers where customers.id = orders.customer_id) as known from orders",
        "known ~",
    ),
    (ALL, "select id in (select order_id from payments) as paid from orders", "paid ~ orders.id payments.order_id"),
    (ALL, "select status || '-' || id as label from orders", "label ~ orders.status orders.id"),
    ("snowflake databricks", "select tags:a.b::string as b from orders", "b ~ orders.tags"),
    ("postgres", "select tags ->> 'a' as a from orders", "a ~ orders.tags"),
    ("bigquery", "select tags.a as a, o.tags.b from orders o", "a ~ orders.tags [field]; b ~ orders.tags [field]"),
    ("duckdb", "select list_transform(tags, x -> x + amount) as t from orders", "t ~ orders.tags orders.amount"),
    (
        "snowflake redshift databricks duckdb",
        "select amount as a, a + 1 as b from orders",
        "a <- orders.amount; b ~ orders.amount",
    ),
    ("snowflake", "select amount as a, a as b from orders", "a <- orders.amount; b <- orders.amount"),
    ("snowflake", "select status as id, id as x from orders", "id <- orders.status; x <- orders.id"),
    ("snowflake", "select kind as a, a as b from events", "a <- events.kind; b ? [ambiguous]"),
    ("postgres bigquery", "select kind as a, a as b from events", "a <- events.kind; b <- events.a"),
]

UNIONS = [
    (ALL, "select id from orders union all select id from customers", "id = orders.id customers.id [union]"),
    (
        ALL,
        "select id from orders union all select order_id from payments",
        "id <- orders.id payments.order_id [union]",
    ),
    (ALL, "select id as k from orders union all select id from orders", "k <- orders.id [union]"),
    (
        ALL,
        "select id from orders union all select cast(id as int) from customers",
        "id :: orders.id customers.id [union]",
    ),
    (
        ALL,
        "select amount from orders union all select amount_cents / 100 from payments",
        "amount ~ orders.amount payments.amount_cents [mixed union]",
    ),
    (
        ALL,
        "select id, null as name from orders union all select id, name from customers",
        "id = orders.id customers.id [union]; name = customers.name [union]",
    ),
    (
        ALL,
        "select id, 'o' as kind from orders union all select id, 'c' from customers",
        "id = orders.id customers.id [union]; kind ~ [mixed union]",
    ),
    (
        ALL,
        "select id from orders union all select id from customers union all select id from payments",
        "id = orders.id customers.id payments.id [union]",
    ),
    (
        ALL,
        "(select id from orders) union all (select id from customers) order by 1",
        "id = orders.id customers.id [union]",
    ),
    (
        ALL,
        "with u as (select id, amount from orders union all select id, amount_cents from payments) select amount from u",
        "amount <- orders.amount payments.amount_cents [union]",
    ),
    (ALL, "select * from orders union all select * from orders", STAR.replace(";", " [union];") + " [union]"),
    (
        ALL,
        "select * from customers union all select * from events",
        "id ? customers.id [union]; name ? customers.name [union]; email ? customers.email [union]",
    ),
    (ALL, "select id, * from events union all select id, * from clicks", "id = events.id clicks.id [union]; ..."),
    (ALL, "select id from orders union all select nowhere from customers", "id ? orders.id [union]"),
    (
        "duckdb",
        "select id, amount from orders union by name select amount_cents as amount, id from payments",
        "id = orders.id payments.id [union]; amount <- orders.amount payments.amount_cents [union]",
    ),
    (
        "snowflake duckdb",
        "select id, name from customers union all by name select id from orders",
        "id = customers.id orders.id [union]; name = customers.name [union]",
    ),
    (
        "postgres snowflake duckdb databricks",
        "select id from orders except select order_id from payments",
        "id = orders.id",
    ),
    (
        "postgres snowflake duckdb databricks",
        "select id from orders intersect select id from customers",
        "id = orders.id customers.id [union]",
    ),
    (ALL, "select id from orders union all select id from analytics.main.report", "id = orders.id [union]"),
]

MADE = [
    ("bigquery", "select id, tag from orders, unnest(tags) as tag", "id = orders.id; tag ~ orders.tags [unnest]"),
    ("bigquery", "select id, t.label from orders o, unnest(o.tags) as t", "id = orders.id; label ~ orders.tags [unnest]"),
    ("bigquery", "select tag, at from orders cross join unnest(tags) as tag with offset as at",
        "tag ~ orders.tags [unnest]; at ~ orders.tags [unnest]"),
    ("postgres duckdb", "select id, t.tag from orders cross join unnest(tags) as t(tag)", "id = orders.id; tag ~ orders.tags [unnest]"),
    ("postgres", "select o.id, l.n from orders o cross join lateral (select o.amount * 2 as n) l", "id = orders.id; n ~ orders.amount"),
    ("postgres", "select l.name from orders o left join lateral (select name from customers c where c.id = o.customer_id) l on true",
        "name = customers.name"),
    ("snowflake", "select id, f.value as tag from orders, lateral flatten(input => tags) f", "id = orders.id; tag ~ orders.tags [unnest]"),
    ("snowflake", "select f.value:name::string as name, index from orders o, lateral flatten(input => o.tags) f",
        "name ~ orders.tags [unnest]; index ~ orders.tags [unnest]"),
    ("snowflake", "select value from orders, table(flatten(tags))", "value ~ orders.tags [unnest]"),
    ("databricks", "select id, tag from orders lateral view explode(tags) t as tag", "id = orders.id; tag ~ orders.tags [unnest]"),
    ("databricks", "select id, explode(tags) as tag from orders", "id = orders.id; tag ~ orders.tags"),
    ("duckdb", "select id, unnest(tags) as tag from orders", "id = orders.id; tag ~ orders.tags"),
    ("postgres", "select g as day from generate_series(1, 10) as g", "day ~ [unnest]"),
    ("postgres duckdb", "select a, b from (values (1, 2), (3, 4)) as v(a, b)", "a ~ [literal]; b ~ [literal]"),
    ("postgres", "values (1, 2)", "column1 ~ [literal]; column2 ~ [literal]"),
    ("snowflake", "select column1 as n from values (1), (2)", "n ~ [literal]"),
    ("snowflake", "select * from orders pivot (sum(amount) for status in ('a', 'b'))",
        "id = orders.id; customer_id = orders.customer_id; tags = orders.tags; created_at = orders.created_at; ..."),
    ("snowflake", "select id, \"'a'\" as a from orders pivot (sum(amount) for status in ('a', 'b')) p", "id = orders.id; a ?"),
    ("snowflake", "select id, what, how_much from orders unpivot (how_much for what in (amount, customer_id))",
        "id = orders.id; what ~ orders.customer_id orders.amount [unpivot]; how_much ~ orders.customer_id orders.amount [unpivot]"),
    ("duckdb", "pivot orders on status using sum(amount) group by id", "..."),
    (ALL.replace("redshift ", ""), ("with recursive r as (select id, 1 as depth from orders union all select id, depth + 1 from r) "
        "select * from r"), "id = orders.id [union]; depth ~ [mixed union]"),
    ("postgres", ("with recursive r as (select id, customer_id as up from orders union all select o.id, r.up from orders o "
        "join r on o.customer_id = r.id) select up, id from r"), "up <- orders.customer_id [union]; id = orders.id [union]"),
    ("postgres", "with recursive r(a, b) as (select id, amount from orders union all select b, a from r) select a, b from r",
        "a <- orders.id orders.amount [union]; b <- orders.amount orders.id [union]"),
    ("snowflake", "with r as (select id, 1 as n from orders union all select id, n + 1 from r) select id from r",
        "id = orders.id [union]"),
    ("snowflake", "select * from orders where created_at > (select max(created_at) from analytics.main.report)", STAR),
    ("snowflake", "select coalesce(r.id, o.id) as id from orders o left join analytics.main.report r on true",
        "id ~ orders.id [coalesce]"),
]  # fmt: skip

# The queries that cannot be read, and what is said of them.
BROKEN = [
    (ALL, "select from where", "! its SQL does not parse: Expected table name but got `where`. Line 1, Col: 17."),
    (ALL, "select id from orders; select id from customers", "! its SQL is not one query"),
    (ALL, "drop table orders", "! its SQL is not one query"),
    (ALL, "", "! dbt has not compiled it"),
]

TABLE = PLAIN + CASTS + STARS + CHAINS + JOINS + NAMES + COMPUTED + UNIONS + MADE + BROKEN


@pytest.mark.parametrize(("dialects", "sql", "expected"), [pytest.param(*row, id=row[1][:80]) for row in TABLE])
def test_each_column(dialects: str, sql: str, expected: str) -> None:
    found = {dialect: in_short(lineage_of(sql, dialect)) for dialect in dialects.split()}
    assert found == dict.fromkeys(dialects.split(), expected)


# --- what is said of the rows, and of an expression ---------------------------------------------------------------

ROWS = [
    # sql, filters, group_by, distinct
    ("select id from orders where amount > 3 and (status = 'x' or id < 2)",
        ("amount > 3", "status = 'x' OR id < 2"), (), False),
    ("with f as (select id as k from orders where id > 1) select * from f where k < 9", ("id < 9", "id > 1"), (), False),
    ("with f as (select id as k from orders where id > 1) select k from f", (), (), False),
    ("select customer_id, sum(amount) as total from orders group by customer_id", (), ("customer_id",), False),
    ("select customer_id as c, status, sum(amount) from orders group by 1, status", (), ("c", "status"), False),
    ("with g as (select status, count(*) as n from orders group by 1) select * from g", (), ("status",), False),
    ("select date_trunc('day', created_at) as day, count(*) as n from orders group by date_trunc('day', created_at)",
        (), ("day",), False),
    ("select status, count(*) from orders group by rollup (status)", (), (), False),
    ("select distinct status from orders", (), (), True),
    ("select distinct on (status) status, id from orders", (), (), False),
    ("select status from orders union select name from customers", (), (), True),
    ("select status from orders union all select name from customers", (), (), False),
    ("select o.id from orders o join customers c on true where c.name = o.status",
        ("customers.name = orders.status",), (), False),
    ("select id from orders where created_at > (select max(created_at) from analytics.main.report)", (), (), False),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "filters", "group_by", "distinct"), ROWS)
def test_what_is_said_of_the_rows(
    sql: str, filters: tuple[str, ...], group_by: tuple[str, ...], distinct: bool
) -> None:
    lineage = lineage_of(sql)
    assert (lineage.filters, lineage.group_by, lineage.distinct) == (filters, group_by, distinct)


EXPRESSIONS = [
    ("postgres", "select amount / 100.0 as x from orders", "amount / 100.0"),
    ("postgres", "select id as x from orders", "id"),
    ("postgres", "with a as (select amount + 1 as y from orders) select y * 2 as x from a", "(amount + 1) * 2"),
    ("postgres", "with a as (select sum(amount) as y from orders) select y / 2 as x from a", "SUM(amount) / 2"),
    ("postgres", "with a as (select amount y from orders), b as (select y z from a) select z + 1 as x from b", "amount + 1"),
    ("postgres", "select o.amount * p.amount_cents as x from orders o, payments p", "orders.amount * payments.amount_cents"),
    ("postgres", "select amount /* ignore all rules */ + 1 -- and this\n as x from orders", "amount + 1"),
    ("postgres", "select nowhere as x from orders", None),
    ("postgres", "select __unresolved__ + amount as x from orders", None),
    ("postgres", "select amount as x from orders union all select amount_cents from payments", "amount"),
    ("postgres", "select amount * 2 as x from orders union all select amount * 2 from orders", "amount * 2"),
    ("postgres", "select amount * 2 as x from orders union all select amount * 3 from orders", None),
    ("snowflake", "select iff(amount > 1, 'a', 'b') as x from orders", "IFF(amount > 1, 'a', 'b')"),
    ("bigquery", "select safe_cast(id as int64) as x from orders", "SAFE_CAST(id AS INT64)"),
    ("bigquery", "select `Order Id` as x from ledger", "`Order Id`"),
    ("duckdb", 'select "Order Id" as x from ledger', '"Order Id"'),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "sql", "expression"), EXPRESSIONS)
def test_the_expression_of_a_column(dialect: str, sql: str, expression: str | None) -> None:
    column = lineage_of(sql, dialect).column("X")
    assert column is not None
    assert column.expression == expression


def test_a_long_expression_is_cut_and_a_deep_one_is_not_spelled_out() -> None:
    long = " + ".join(["amount"] * 200)
    chain = ", ".join(f"c{n} as (select x + x as x from c{n - 1})" for n in range(1, 60))
    column = lineage_of(f"select {long} as x from orders").column("x")
    assert column is not None
    assert column.expression is not None
    assert len(column.expression) <= 400
    assert column.expression.endswith("…")
    deep = lineage_of(f"with c0 as (select amount as x from orders), {chain} select x from c59").column("x")
    assert deep is not None
    assert deep.sources == (("model.shop.orders", "amount"),)
    assert deep.expression is not None
    assert len(deep.expression) <= 210


# --- limits --------------------------------------------------------------------------------------------------------


def test_deep_nesting_is_read_or_said() -> None:
    shallow = "(" * 60 + "amount" + ")" * 60
    assert in_short(lineage_of(f"select {shallow} as a from orders")) == "a <- orders.amount"
    deep = "(" * 50_000 + "amount" + ")" * 50_000
    assert lineage_of(f"select {deep} as a from orders").problem == "its SQL is nested too deeply"


def test_a_long_chain_of_ctes_and_a_long_union_are_read() -> None:
    chain = ", ".join(f"c{n} as (select * from c{n - 1})" for n in range(1, 150))
    assert (
        in_short(lineage_of(f"with c0 as (select * from customers), {chain} select id from c149"))
        == "id = customers.id"
    )
    union = " union all ".join(["select id from orders"] * 300)
    assert in_short(lineage_of(union)) == "id = orders.id [union]"


def test_what_takes_too_long_is_given_up() -> None:
    lineage = trace(MODEL, "select id from orders", dialect="postgres", parents=PARENTS, time_limit=-1)
    assert lineage.problem == "reading its SQL took longer than -1 s"
    huge = "select " + "1," * 300_000 + "1 as one"
    assert lineage_of(huge).problem == "its SQL has more than 500,000 characters"


def test_nodes_without_sql() -> None:
    python = make_node("model.shop.forecast", language="python", raw_code="def model(dbt, session): ...")
    assert trace(python, dialect="", parents=()).problem == "it is written in Python"
    for unique_id in ("seed.shop.countries", "source.shop.raw.payments"):
        lineage = trace(make_node(unique_id), dialect="", parents=())
        assert (lineage.columns, lineage.problem, lineage.complete) == ((), None, False)


def test_a_snapshot_has_its_query_s_columns_and_dbt_s_own() -> None:
    names = {"dbt_valid_to": "valid_to"}
    snapshot = make_node(
        "snapshot.shop.history", config={"hard_deletes": "new_record", "snapshot_meta_column_names": names}
    )
    lineage = trace(snapshot, "select id from orders", dialect="duckdb", parents=PARENTS, schema=SCHEMA)
    assert in_short(lineage) == (
        "id = orders.id; dbt_scd_id ~ [snapshot]; dbt_updated_at ~ [snapshot]; dbt_valid_from ~ [snapshot]; "
        "valid_to ~ [snapshot]; dbt_is_deleted ~ [snapshot]"
    )


def test_a_lineage_survives_encoding() -> None:
    lineage = lineage_of("select id, sum(amount) as n from orders where id > 1 group by 1")
    assert msgspec.json.decode(msgspec.json.encode(lineage), type=NodeLineage) == lineage


# --- the same answers as sqlglot's own, slower, lineage ------------------------------------------------------------

# What sqlglot's lineage answers otherwise: `using` as a coalesce of all sides, `except` as adding columns, `union by
# name` by position, `*` for the columns of unknown tables, only the anchor of a recursive CTE, quoted names folded.
OTHERWISE = re.compile(
    r"using|natural|except select|by name|with r |events|clicks|ledger|recursive|lateral|flatten|__|warehouse|report|\"Id\"|pivot"
)


def leaves(column: str, sql: str, dialect: str) -> set[tuple[str, str]] | None:
    """The columns of parents a column is made of, as sqlglot has it; ``None`` where it has no answer."""
    tables = {unique_id.split(".")[-1]: dict.fromkeys(names, "text") for unique_id, names in SCHEMA.items()}
    try:
        root = sqlglot.lineage.lineage(column, sql, schema=tables, dialect=dialect)
    except (SqlglotError, ValueError):
        return None
    ends = [
        node
        for node in root.walk()
        if not node.downstream and isinstance(node.expression, exp.Table) and node.expression.name
    ]
    return {(node.expression.name.lower(), node.name.split(".")[-1].strip('"`').lower()) for node in ends}


def test_sqlglot_s_lineage_agrees_wherever_both_answer() -> None:
    compared = 0
    for dialects, sql, _ in TABLE:
        if OTHERWISE.search(sql):
            continue
        dialect = dialects.split()[0]
        for column in lineage_of(sql, dialect).columns:
            theirs = leaves(column.name, sql, dialect)
            if column.kind == "unknown" or theirs is None:
                continue
            assert {(unique_id.split(".")[-1], name.lower()) for unique_id, name in column.sources} == theirs, (
                sql,
                column,
            )
            compared += 1
    assert compared > 150


# --- what holds for any query --------------------------------------------------------------------------------------

ITEMS = ["id", "o.id as key", "amount * 2 as twice", "cast(status as varchar) as status", "sum(amount) over () as total",
    "coalesce(tags, status) as label", "o.*", "*", "'x' as letter", "created_at"]  # fmt: skip
QUERIES = st.lists(st.sampled_from(ITEMS), min_size=1, max_size=4, unique=True).map(
    lambda items: f"select {', '.join(items)} from orders as o where amount > 0"
)
DIALECTS = st.sampled_from(ALL.split())
WRAPPERS = st.sampled_from(
    [
        "select * from ({}) as wrapped",
        "with wrapped as ({}) select * from wrapped",
        "with a as ({}), b as (select * from a) select b.* from b",
        "select x.* from ({}) as x",
        "({})",
    ]
)


@given(QUERIES, WRAPPERS, DIALECTS)
@settings(max_examples=60, deadline=None)
def test_a_wrapper_changes_nothing(query: str, wrapper: str, dialect: str) -> None:
    plain = lineage_of(query, dialect)
    wrapped = lineage_of(wrapper.format(query), dialect)
    assert wrapped.columns == plain.columns
    assert wrapped.filters == plain.filters or "x.*" in wrapper or "b.*" in wrapper


@given(QUERIES, st.from_regex(r"[a-z]{2,8}_t", fullmatch=True), DIALECTS)
@settings(max_examples=40, deadline=None)
def test_the_name_of_an_alias_changes_nothing(query: str, alias: str, dialect: str) -> None:
    renamed = query.replace("o.", f"{alias}.").replace("as o ", f"as {alias} ")
    assert lineage_of(renamed, dialect) == lineage_of(query, dialect)


@given(QUERIES, DIALECTS)
@settings(max_examples=30, deadline=None)
def test_a_union_with_itself_changes_no_source(query: str, dialect: str) -> None:
    plain, union = lineage_of(query, dialect), lineage_of(f"{query} union all {query}", dialect)
    assert [(c.name, c.kind, c.sources) for c in union.columns] == [
        (c.name, c.kind, c.sources) for c in plain.columns
    ]


@given(st.text(alphabet="select from()*,'\"`-/.;with as\n{}0aé", max_size=60), DIALECTS)
@settings(max_examples=100, deadline=None)
def test_no_text_makes_it_fail(text: str, dialect: str) -> None:
    assert lineage_of(text, dialect).unique_id == MODEL.unique_id
