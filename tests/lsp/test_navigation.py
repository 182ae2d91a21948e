"""Definition and references: from a column to where it comes from and where it goes, and from doc blocks to their uses."""

from __future__ import annotations

from pathlib import Path

import pytest
from lsprotocol import types

from lsp_editor import Editor, path_of

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]

RIDERS = "models/marts/dim_riders.yml"
MARTS = "models/marts/_marts.yml"


def shown(editor: Editor, places: list[types.Location]) -> list[tuple[str, str]]:
    """File and words of each place."""
    result: list[tuple[str, str]] = []
    for place in places:
        path = path_of(place.uri)
        text = editor.texts.get(place.uri, path.read_text("utf-8"))
        start, end = editor.offset(text, place.range.start), editor.offset(text, place.range.end)
        result.append((path.name, text[start:end]))
    return result


async def definitions(editor: Editor, name: str, words: str) -> list[tuple[str, str]]:
    params = types.DefinitionParams(types.TextDocumentIdentifier(name), editor.place(name, words))
    found = await editor.client.text_document_definition_async(params)
    assert isinstance(found, list)
    return shown(editor, [place for place in found if isinstance(place, types.Location)])


async def references(editor: Editor, name: str, words: str, *, declaration: bool = False) -> list[tuple[str, str]]:
    params = types.ReferenceParams(
        types.ReferenceContext(include_declaration=declaration),
        types.TextDocumentIdentifier(name),
        editor.place(name, words),
    )
    return shown(editor, list(await editor.client.text_document_references_async(params) or []))


async def test_a_column_leads_to_its_expression_and_to_the_columns_it_is_made_of(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    assert await definitions(editor, name, "rider_name") == [
        ("dim_riders.sql", "riders.full_name as rider_name"),
        ("riders_history.yml", "riders_history"),  # whose entry does not list the column
    ]
    assert await definitions(editor, name, "trip_count") == [
        ("dim_riders.sql", "coalesce(trips.trip_count, 0) as trip_count")
    ]
    assert await definitions(editor, name, "contains_pii") == []


async def test_several_columns_that_no_entry_lists_lead_to_one_place(editor: Editor, demo: Path):
    sql = demo / "models/marts/dim_riders.sql"
    text = sql.read_text("utf-8")
    sql.write_text(
        text.replace("riders.full_name as rider_name", "riders.full_name || riders.signed_up_at as rider_name")
    )
    manifest = demo / "target/manifest.json"
    data = manifest.read_text("utf-8")
    manifest.write_text(
        data.replace("riders.full_name as rider_name", "riders.full_name || riders.signed_up_at as rider_name")
    )
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    assert await definitions(editor, name, "rider_name") == [
        ("dim_riders.sql", "riders.full_name || riders.signed_up_at as rider_name"),
        ("riders_history.yml", "riders_history"),
    ]


async def test_a_node_leads_to_its_file(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    sources = editor.open(demo / "models/staging/_landing__sources.yml")
    await editor.planned(name)

    assert await definitions(editor, name, "dim_riders") == [("dim_riders.sql", "")]
    assert await definitions(editor, sources, "riders") == []


async def test_what_is_typed_in_the_sql_counts_saved_or_not(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    sql = editor.open(demo / "models/marts/dim_riders.sql", language="jinja-sql")
    editor.edit(
        sql, "riders.full_name as rider_name", "-- 🚲\n        /* 🚲 */ upper(riders.full_name) as rider_name"
    )

    assert (await definitions(editor, name, "rider_name"))[0] == (
        "dim_riders.sql",
        "upper(riders.full_name) as rider_name",
    )


async def test_a_column_behind_a_star_leads_to_the_query(editor: Editor, demo: Path):
    name = editor.open(demo / "models/intermediate/int_models.yaml")
    await editor.planned(name)

    assert await definitions(editor, name, "paid_at") == [
        ("int_payments_unioned.sql", "select"),
        ("_staging.yml", "paid_at"),
        ("_staging.yml", "paid_at"),
    ]


async def test_sql_that_is_none_leads_to_its_file(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    sql = editor.open(demo / "models/marts/dim_riders.sql", language="sql")
    editor.replace(sql, 0, len(editor.texts[sql]), "nothing")

    assert (await definitions(editor, name, "trip_count")) == [("dim_riders.sql", "")]


async def test_a_doc_call_leads_to_its_block(editor: Editor, demo: Path):
    name = editor.open(demo / MARTS)
    await editor.planned(name)

    ((file, words),) = await definitions(editor, name, "doc('bike_id')")

    assert (Path(file).suffix, words) == (".md", "bike_id")


async def test_a_column_leads_to_the_columns_that_are_made_of_it(editor: Editor, demo: Path):
    name = editor.open(demo / MARTS)
    await editor.planned(name)

    assert await references(editor, name, "rider_id") == [("_marts.yml", "riders")]
    assert await references(editor, name, "rider_id", declaration=True) == [
        ("_marts.yml", "rider_id"),
        ("_marts.yml", "riders"),
    ]
    assert await references(editor, name, "amount_paid") == [("dim_riders.yml", "lifetime_value")]
    assert await references(editor, name, "dim_stations") == []


async def test_a_column_that_no_entry_lists_is_referred_to_where_it_is_computed(editor: Editor, demo: Path):
    name = editor.open(demo / "models/staging/_staging.yml")
    await editor.planned(name)

    assert await references(editor, name, "full_name") == [("riders_history.sql", "select")]


async def test_a_block_leads_to_its_uses_from_a_use_and_from_itself(editor: Editor, demo: Path):
    name = editor.open(demo / MARTS)
    await editor.planned(name)
    docs = editor.open(demo / "docs/glossary.md", language="markdown")
    staging = editor.open(demo / "models/staging/_staging.yml")
    editor.edit(staging, "{{ doc('bike_id') }}", "{{ doc( 'quayside', 'bike_id' ) }} {{ doc('other', 'bike_id') }}")

    found = await references(editor, name, "doc('bike_id')")

    assert sorted(found) == [
        ("_landing__sources.yml", "doc('bike_id')"),
        ("_landing__sources.yml", "doc('bike_id')"),
        ("_landing__sources.yml", "doc('bike_id')"),
        ("_marts.yml", "doc('bike_id')"),
        ("_staging.yml", "doc( 'quayside', 'bike_id' )"),
    ]
    assert await references(editor, docs, "docs bike_id") == found
    assert await references(editor, docs, "Number painted") == []
