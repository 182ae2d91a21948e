"""Replies in the shapes in which models really send them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from osmosis_synthesize.engine.reading import LONGEST_REPLY, read_reply

TABLE = "One row per order."
ID = "Key of the order."
STATUS = "Where the order stands: open, sent or lost."
BOTH = {"id": ID, "status": STATUS}
GOOD = json.dumps(
    {"description": TABLE, "columns": [{"name": "id", "description": ID}, {"name": "status", "description": STATUS}]}
)
PRETTY = json.dumps(json.loads(GOOD), indent=2)

WHOLE = {
    "as asked": GOOD,
    "indented": PRETTY,
    "byte-order mark": f"\ufeff{GOOD}",
    "CRLF": PRETTY.replace("\n", "\r\n"),
    "json fence": f"```json\n{PRETTY}\n```",
    "bare fence": f"```\n{GOOD}\n```",
    "fence without end": f"```json\n{GOOD}",
    "prose and fence": f"Here are the descriptions:\n\n```json\n{PRETTY}\n```\n\nLet me know if you need more!",
    "prose with braces before": f"The model uses {{{{ ref('x') }}}} and {{% if a %}}. So: {GOOD}",
    "prose with a quote in brackets before": f"As [the 'orders note] says: {GOOD}",
    "prose with braces after": f"{GOOD}\nNote: {{placeholders}} were left alone.",
    "thoughts with a draft": f'<think>maybe {{"description": "draft", "columns": []}}?</think>\n{GOOD}',
    "trailing commas": PRETTY.replace("\n    }", ",\n    }").replace("\n  ]", ",\n  ]"),
    "Python dict": repr(json.loads(GOOD)),
    "Python dict with None": repr(json.loads(GOOD) | {"note": None, "ok": True}),
    "single quotes": GOOD.replace('"', "'"),
    "smart quotes": GOOD.replace('{"', "{“").replace('": "', "”: “").replace('", "', "”, “").replace('"', "”"),
    "unquoted keys": GOOD.replace('"description":', "description:").replace('"name":', "name:"),
    "missing commas between lines": PRETTY.replace('",\n', '"\n'),
    "missing commas between objects": GOOD.replace("}, {", "} {"),
    "missing brace in the middle": GOOD.replace('"}, {"name": "status"', '", }, {"name": "status"'),
    "missing brace before the bracket": GOOD.replace("}]}", "]}"),
    "a closer too many": GOOD + "}]",
    "comments": PRETTY.replace("{\n", "{ // as asked\n").replace('  "columns"', '  /* the\n columns */ "columns"'),
    "hash comments": PRETTY.replace('"columns": [\n', '"columns": [ # two\n'),
    "NaN and numbers": GOOD.replace('"columns"', '"confidence": NaN, "score": -1.5e3, "flag": true, "columns"'),
    "duplicate keys": GOOD.replace('{"name": "id",', '{"name": "id", "name": "id",'),
    "a column twice, the first counts": GOOD.replace("]}", ', {"name": "id", "description": "Second."}]}'),
    "result wrapper": json.dumps({"result": json.loads(GOOD)}),
    "two wrappers": json.dumps({"response": {"data": json.loads(GOOD)}}),
    "list around": f"[{GOOD}]",
    "dbt's own shape": json.dumps({"version": 2, "models": [{"name": "orders", **json.loads(GOOD)}]}),
    "JSON in a JSON string": json.dumps(GOOD),
    "JSON string in a wrapper": json.dumps({"output": GOOD}),
    "escaped without quotes around": GOOD.replace('"', '\\"'),
    "columns as a mapping": json.dumps({"description": TABLE, "columns": BOTH}),
    "columns as a mapping of objects": json.dumps(
        {"description": TABLE, "columns": {name: {"description": text} for name, text in BOTH.items()}}
    ),
    "columns without the key": json.dumps({"description": TABLE, **BOTH}),
    "columns as pairs": json.dumps({"description": TABLE, "columns": list(BOTH.items())}),
    "column_name": GOOD.replace('"name"', '"column_name"'),
    "upper case names": GOOD.replace('"id"', '"ID"').replace('"status"', '"Status"'),
    "names in SQL quotes": GOOD.replace('"id"', '"\\"id\\""').replace('"status"', '"`status`"'),
    "keys in upper case": GOOD.replace('"description"', '"Description"').replace('"columns"', '"COLUMNS"'),
    "one object a line": f'{{"description": "{TABLE}"}}\n'
    + "\n".join(json.dumps({"name": name, "description": text}) for name, text in BOTH.items()),
    "list instead of object": json.dumps(
        [{"description": TABLE}, *({"name": name, "description": text} for name, text in BOTH.items())]
    ),
    "the schema first": '{"type": "object", "properties": {"description": {"type": "string"}}}\n' + GOOD,
    "unicode escapes": GOOD.replace("order", "\\u006frder"),
    "non-breaking spaces": PRETTY.replace("  ", "\u00a0\u00a0"),
    "needless escapes": GOOD.replace("order", "\\order"),
}


@pytest.mark.parametrize("reply", WHOLE.values(), ids=WHOLE)
def test_a_whole_reply_is_read_whatever_it_wears(reply: str) -> None:
    reading = read_reply(reply, columns=["id", "status"], table=True)

    assert (reading.table, reading.columns) == (TABLE, BOTH)
    assert (reading.missing, reading.problem) == ((), None)


PARTS: dict[str, tuple[str, str | None, dict[str, str], bool]] = {
    "cut off in a text": (GOOD[: GOOD.index("open,")], TABLE, {"id": ID}, True),
    "cut off in the table's text": (GOOD[:20], None, {}, True),
    "cut off in a name": (GOOD[: GOOD.index('atus", "desc')], TABLE, {"id": ID}, True),
    "cut off after a key": (GOOD[: GOOD.rindex('"Where')], TABLE, {"id": ID}, True),
    "cut off after a text": (GOOD[: GOOD.index("}, {")], TABLE, {"id": ID}, True),
    "cut off in an escape": (GOOD[: GOOD.index("open,")] + "\\", TABLE, {"id": ID}, True),
    "cut off in a fence": (f"```json\n{GOOD[: GOOD.index('open,')]}\n```", TABLE, {"id": ID}, True),
    "cut off in the thoughts": ("<think>Let me see, the id is", None, {}, True),
    "a column missing": (json.dumps({"description": TABLE, "columns": [{"name": "id", "description": ID}]}), TABLE, {"id": ID}, False),
    "an empty text": (GOOD.replace(STATUS, "  "), TABLE, {"id": ID}, False),
    "a null text": (GOOD.replace(f'"{STATUS}"', "null"), TABLE, {"id": ID}, False),
    "a number as text": (GOOD.replace(f'"{STATUS}"', "7"), TABLE, {"id": ID}, False),
    "no table": (json.dumps({"columns": json.loads(GOOD)["columns"]}), None, BOTH, False),
    "only a list": (json.dumps(json.loads(GOOD)["columns"]), None, BOTH, False),
    "only an item": (json.dumps({"name": "id", "description": ID}), None, {"id": ID}, False),
}  # fmt: skip


@pytest.mark.parametrize(("reply", "table", "columns", "cut_off"), PARTS.values(), ids=PARTS)
def test_the_complete_part_is_kept(reply: str, table: str | None, columns: dict[str, str], *, cut_off: bool) -> None:
    reading = read_reply(reply, columns=["id", "status"], table=True)

    assert (reading.table, reading.columns, reading.cut_off) == (table, columns, cut_off)
    assert reading.missing == tuple(name for name in ("id", "status") if name not in columns)


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("", "the reply is empty"),
        (" \n\ufeff", "the reply is empty"),
        ("I'm sorry, but I can't help with that.", "the reply is a refusal"),
        ("I cannot describe these columns: {see policy}.", "the reply is a refusal"),
        ("As an AI language model, I …", "the reply is a refusal"),
        ("Order id: the key.", "the reply holds no JSON"),
        ("{}", "the reply holds nothing that was asked for"),
        ("[]", "the reply holds nothing that was asked for"),
        ("null", "the reply holds no JSON"),
        ('{"error": "overloaded"}', "the reply holds nothing that was asked for"),
        ('{"description": "One row', "the reply was cut off before its first text"),
        ("{" * 5000, "the reply was cut off before its first text"),
    ],
)
def test_what_cannot_be_read_says_why(reply: str, problem: str) -> None:
    reading = read_reply(reply, columns=["id"], table=True)

    assert (reading.table, reading.columns, reading.missing) == (None, {}, ("id",))
    assert reading.problem == problem


def test_columns_nobody_asked_for_are_named_and_dropped() -> None:
    reading = read_reply(GOOD, columns=["id"], table=False)

    assert (reading.table, reading.columns) == (None, {"id": ID})
    assert reading.unexpected == ("status",)


def test_names_come_back_as_they_were_asked_for() -> None:
    asked = ["ORDER_ID", '"Order Status"', "address.city", "prix d'achat"]
    items = [{"name": name.lower().strip('"'), "description": f"About {n}."} for n, name in enumerate(asked)]

    reading = read_reply(json.dumps({"columns": items}), columns=asked, table=False)

    assert reading.columns == {name: f"About {n}." for n, name in enumerate(asked)}


def test_columns_that_differ_in_case_only_are_told_apart_by_it() -> None:
    items = [{"name": name, "description": f"About {name}."} for name in ("id", "ID", "Id")]

    reading = read_reply(json.dumps(items), columns=["id", "ID"], table=False)

    assert reading.columns == {"id": "About id.", "ID": "About ID."}
    assert reading.unexpected == ("Id",)


def test_columns_may_be_called_as_the_reply_s_own_keys_are() -> None:
    names = ["description", "name", "columns"]
    items = [{"name": name, "description": f"About {name}."} for name in names]
    expected = {name: f"About {name}." for name in names}

    for reply in ({"description": TABLE, "columns": items}, {"description": TABLE, "columns": expected}):
        reading = read_reply(json.dumps(reply), columns=names, table=True)
        assert (reading.table, reading.columns) == (TABLE, expected)

    alone = read_reply(json.dumps({"description": "About it."}), columns=["description"], table=False)
    assert alone.columns == {"description": "About it."}


@pytest.mark.parametrize(
    "text",
    [
        'The "real" total.',
        'One of "open", "sent" or "lost".',
        "The customer's own name, as the customers' desk has it.",
        "A path: C:\\temp\\new",
        "Line one.\nLine two.",
        "Emoji 🦦 and 日本語, “quoted”.",
        "JSON like {'a': 1} or [1, 2].",
        "See https://example.com/a?b=c#d // not a comment /* nor this */ # nor this",
    ],
)
def test_texts_survive_sound_json_unchanged_and_broken_json_as_far_as_it_goes(text: str) -> None:
    sound = json.dumps({"columns": [{"name": "id", "description": text}, {"name": "b", "description": "B."}]})
    assert read_reply(sound, columns=["id", "b"], table=False).columns == {"id": text, "b": "B."}

    assert read_reply(repr(json.loads(sound)), columns=["id", "b"], table=False).columns == {"id": text, "b": "B."}

    unescaped = f'{{"columns": [{{"name": "id", "description": "{text}"}}, {{"name": "b", "description": "B."}}]}}'
    expected = text.replace("\\t", "\t").replace("\\n", "\n")  # a lone backslash begins an escape
    assert read_reply(unescaped, columns=["id", "b"], table=False).columns == {"id": expected, "b": "B."}


_TEXTS = st.text(min_size=1, max_size=30).filter(lambda text: text.strip() == text)
_NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,10}", fullmatch=True)


@settings(max_examples=150, deadline=None)
@given(columns=st.dictionaries(_NAMES, _TEXTS, max_size=5), table=_TEXTS, ascii_only=st.booleans())
@example(columns={"a": "Between <think> and </think>."}, table="</think>", ascii_only=False)
def test_every_sound_reply_is_read_exactly(columns: dict[str, str], table: str, *, ascii_only: bool) -> None:
    sound = {"description": table, "columns": [{"name": name, "description": text} for name, text in columns.items()]}

    reading = read_reply(json.dumps(sound, ensure_ascii=ascii_only), columns=list(columns), table=True)

    assert (reading.table, reading.columns, reading.cut_off) == (
        _sound(table),
        {k: _sound(v) for k, v in columns.items()},
        False,
    )


def _sound(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@settings(max_examples=150, deadline=None)
@given(cut=st.integers(0, len(GOOD)))
def test_no_half_text_is_ever_taken_from_a_reply_that_was_cut_off(cut: int) -> None:
    reading = read_reply(GOOD[:cut], columns=["id", "status"], table=True)

    assert reading.table in {None, TABLE}
    assert reading.columns.items() <= BOTH.items()
    assert reading.cut_off == (0 < cut < len(GOOD))


@settings(max_examples=150, deadline=None)
@given(text=_TEXTS, data=st.data(), ascii_only=st.booleans())
@example(text="C:\\u12 🦦", data=None, ascii_only=True)
@example(text="bell\x07", data=None, ascii_only=True)
def test_of_a_reply_that_still_comes_each_text_is_known_as_far_as_it_goes(
    text: str, data: st.DataObject | None, *, ascii_only: bool
) -> None:
    text = _sound(text)
    items = [{"name": "status", "description": "Before."}, {"name": "id", "description": text}]
    whole = json.dumps({"columns": items}, ensure_ascii=ascii_only)
    cuts = [data.draw(st.integers(0, len(whole)))] if data is not None else range(len(whole) + 1)
    for cut in cuts:
        reading = read_reply(whole[:cut], columns=["id", "status"], table=False, unfinished=True)

        assert text.startswith(reading.columns.get("id", ""))
        assert "Before.".startswith(reading.columns.get("status", ""))
        assert cut < len(whole) or reading.columns == {"id": text, "status": "Before."}


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="{}[]\"'`“”\\:,;/*#\n abn1.…<>", max_size=200) | st.text(max_size=200))
def test_no_reply_is_an_error(reply: str) -> None:
    read_reply(reply, columns=["a", "b"], table=True)
    read_reply(reply, columns=["a", "b"], table=True, unfinished=True)


HOSTILE: dict[str, Any] = {
    "openers": "{[" * 50_000,
    "openers and closers": "{[" * 25_000 + "]}" * 25_000,
    "wrong closers": "[" * 1000 + "}" * 99_000,
    "quotes": '{"' * 50_000,
    "quotes and blanks": '{"a": "' + ('"' + " " * 50) * 2_000,
    "quotes and commas": '{"a": "' + '",' * 50_000,
    "one quote and commas": '{"a": "' + '"' + "," * 100_000,
    "backslashes": '{"' + "\\" * 100_000,
    "comments without end": "{" + "/*" * 50_000,
    "comments": "{" + "/**/" * 25_000,
    "blanks": "{" + " " * 100_000,
    "bare words": "[" + "a " * 50_000,
    "bare keys": "{" + "a" * 100_000,
    "strings of JSON": json.dumps(["{" * 100] * 1_000),
    "thoughts": "<think>" * 14_000,
    "keys of one object": "{" + '"description": 1, ' * 5_000 + "}",
}


@pytest.mark.parametrize("reply", HOSTILE.values(), ids=HOSTILE)
def test_hostile_replies_take_linear_time(reply: str) -> None:
    start = time.process_time()
    read_reply(reply, columns=["a"], table=True)
    # Anything quadratic takes minutes at these sizes.
    assert time.process_time() - start < 30


def test_a_reply_beyond_all_measure_is_cut_off() -> None:
    reading = read_reply(GOOD + " " * LONGEST_REPLY, columns=["id"], table=True)

    assert (reading.table, reading.columns, reading.cut_off) == (TABLE, {"id": ID}, True)
