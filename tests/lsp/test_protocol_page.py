from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
from jsonschema import Draft202012Validator

import osmosis_synthesize
from osmosis_synthesize.lsp import messages
from osmosis_synthesize.lsp.server import make_server

PAGE = (Path(osmosis_synthesize.__file__).parent.parent / "PROTOCOL.md").read_text("utf-8")


def test_each_object_is_described_with_its_fields():
    declared = {
        kind.__name__: [field.encode_name for field in msgspec.structs.fields(kind)]
        for kind in messages.Message.__subclasses__()
        if kind.__module__ == messages.__name__
    }
    rows = re.findall(r"^\| `([A-Z]\w+)` \| (.+) \|$", PAGE, re.MULTILINE)
    described = {name: re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", fields)) for name, fields in rows}

    assert described == declared


def test_each_command_is_described():
    server, _ = make_server()

    assert re.findall(r"^\| `(osmosis\.\w+)`", PAGE, re.MULTILINE) == [*server.protocol.fm.commands]


def test_the_version_is_the_one_declared():
    assert f"**Protocol version: {messages.PROTOCOL_VERSION}.**" in PAGE
    assert f"`{messages.STATUS}`" in PAGE


def test_each_command_is_declared_with_what_goes_in_and_comes_out():
    server, _ = make_server()

    assert [*messages.COMMANDS] == [*server.protocol.fm.commands]


def test_the_messages_are_described_for_programs_too():
    printed = subprocess.run(
        [sys.executable, "-m", messages.__name__], check=True, capture_output=True, text=True, encoding="utf-8"
    )
    found = json.loads(printed.stdout)

    assert found["protocolVersion"] == messages.PROTOCOL_VERSION
    assert found["commands"]["osmosis.propose"] == {
        "argument": {"$ref": "#/$defs/ProposeParams"},
        "result": {"$ref": "#/$defs/Proposals"},
    }
    assert found["commands"]["osmosis.refresh"] == {"argument": {"type": "null"}, "result": {"type": "null"}}
    assert found["notifications"]["osmosis/status"] == {"$ref": "#/$defs/Status"}
    assert set(found["requests"]) == {"osmosis/status", "osmosis/languageModel"}
    assert "inputTokens" in found["$defs"]["LanguageModelResult"]["properties"]
    for schema in found["$defs"].values():
        Draft202012Validator.check_schema(schema)
    target = Draft202012Validator({"$ref": "#/$defs/Target", "$defs": found["$defs"]})
    assert target.is_valid({"uri": "file:///a.yml", "node": None})
    assert not target.is_valid({"uri": 1})
