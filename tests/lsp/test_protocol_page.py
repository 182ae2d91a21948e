from __future__ import annotations

import re
from pathlib import Path

import msgspec

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
