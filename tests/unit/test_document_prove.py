from __future__ import annotations

import gc

import pytest

from osmosis_synthesize.document import Fill, edit, parse
from osmosis_synthesize.document.compose import compose
from osmosis_synthesize.document.nodes import Map, Seq, resolved, value_of
from osmosis_synthesize.document.prove import Expected, is_as_expected, reads_as

OLD = "models:\n  - name: a\n    meta: {n: 1, on: yes}\n  - &b\n    name: b\n  - *b\n"
NEW = "models:\n  - name: a\n    description: T\n    meta: {n: 1, on: yes}\n  - &b\n    name: b\n  - *b\n"


def proven(old: str, new: str, text: str | None = "T") -> bool:
    """Whether `new` is `old` with `text` as the description of the first model."""
    root = compose(old)
    assert isinstance(root, Map)
    models = value_of(root, "models")
    assert isinstance(models, Seq)
    texts = {} if text is None else {id(resolved(models.items[0])): text}
    new_root = compose(new)
    return is_as_expected(root, new_root, Expected(texts=texts))


def test_what_was_asked_for_is_proven() -> None:
    assert proven(OLD, NEW)
    assert proven(OLD, OLD, None)
    assert proven(NEW, NEW.replace(": T", ": U"), "U")


@pytest.mark.parametrize(
    ("new", "text"),
    [
        pytest.param(OLD, "T", id="nothing happened"),
        pytest.param(NEW, "U", id="another text"),
        pytest.param(NEW, None, id="a text nobody asked for"),
        pytest.param(NEW.replace(": T", ": T "), "T ", id="a blank lost"),
        pytest.param(NEW.replace(": T", ": yes"), "yes", id="a boolean for YAML 1.1"),
        pytest.param(NEW.replace(": T", ": !!str T"), "T", id="a tag"),
        pytest.param(NEW.replace("n: 1", "n: 2"), "T", id="another value changed"),
        pytest.param(NEW.replace("n: 1", "n: '1'"), "T", id="a number became a text"),
        pytest.param(NEW.replace("n: 1, ", ""), "T", id="a key lost"),
        pytest.param(NEW.replace("n: 1", "n: 1, m: 2"), "T", id="a key more"),
        pytest.param(NEW.replace("n: 1, on: yes", "on: yes, n: 1"), "T", id="another order"),
        pytest.param(NEW + "  - name: c\n", "T", id="an item more"),
        pytest.param(NEW.replace("  - *b\n", ""), "T", id="an item lost"),
        pytest.param(NEW.replace("*b", "{name: b}"), "T", id="an alias expanded"),
        pytest.param(NEW.replace("&b", "&c").replace("*b", "*c"), "T", id="an anchor renamed"),
        pytest.param(NEW.replace("  - *b", "  - &x\n    name: y\n  - *x"), "T", id="an alias of something else"),
        pytest.param("models: []\n", "T", id="all gone"),
        pytest.param("", "T", id="an empty text"),
    ],
)
def test_anything_else_is_not(new: str, text: str | None) -> None:
    assert not proven(OLD, new, text)


def test_additions_are_proven_where_they_are_expected() -> None:
    old, new = compose("a: [x, z]\n"), compose("a: [x, v, z]\n")
    assert isinstance(old, Map)
    sequence = value_of(old, "a")
    assert is_as_expected(old, new, Expected(items={id(sequence): {1: ["v"]}}))
    assert not is_as_expected(old, new, Expected(items={id(sequence): {2: ["v"]}}))
    assert not is_as_expected(old, new, Expected(items={id(sequence): {1: ["x"]}}))
    assert not is_as_expected(old, old, Expected(items={id(sequence): {1: ["v"]}}))
    longer = compose("a: [x, z]\nb: {c: [d]}\n")
    assert is_as_expected(old, longer, Expected(pairs={id(old): [("b", {"c": ["d"]})]}))
    assert not is_as_expected(old, longer, Expected(pairs={id(old): [("b", {"c": ["e"]})]}))
    assert not is_as_expected(old, old, Expected(pairs={id(old): [("b", "c")]}))
    assert is_as_expected(old, compose("a: [q]\n"), Expected(values={id(sequence): ["q"]}))


@pytest.mark.parametrize(
    ("text", "data"), [("[a]", "a"), ("a", ["a"]), ("{a: b}", ["a"]), ("{a: b}", {"b": "a"}), ("a", {})]
)
def test_data_of_another_shape_is_not_read_as_expected(text: str, data: object) -> None:
    node = compose(text)
    assert node is not None
    assert not reads_as(node, data)  # type: ignore[arg-type]


def test_the_garbage_collector_is_left_as_it_was() -> None:
    text = "models:\n  - name: a\n"
    slot = next(parse(text).slots())
    assert gc.isenabled()
    edit(parse(text), [Fill(slot, "Text.")])
    parse("models: [")
    assert gc.isenabled()
    gc.disable()
    try:
        edit(parse(text), [Fill(slot, "Text.")])
        assert not gc.isenabled()
    finally:
        gc.enable()
