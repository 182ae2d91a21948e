"""``{{ env_var('NAME', 'default') }}`` in a value of the repository, and nothing else of Jinja."""

from __future__ import annotations

import re
from collections.abc import Mapping

from osmosis_synthesize.settings.keys import is_secret_name, reveals_secret

_STRING = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_CALL = re.compile(
    rf"\{{\{{\s*env_var\(\s*(?P<name>{_STRING})\s*"
    rf"(?:,\s*(?:default\s*=\s*)?(?P<default>{_STRING}|-?[0-9]+(?:\.[0-9]+)?|[Tt]rue|[Ff]alse)\s*)?\)\s*\}}\}}",
    re.DOTALL,
)
_OTHER_JINJA = re.compile(r"\{\{|\{%|\{#")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", "'": "'", '"': '"'}


class RenderError(ValueError):
    """The value cannot be rendered, or must not be. The message names variables, never what they hold."""


def render(text: str, environ: Mapping[str, str]) -> str:
    """``text`` with each ``env_var()`` call replaced, as dbt does it.

    The text comes from the repository and what it renders to leaves the machine: in a URL, as a model's name, in a
    prompt. So variables that are meant to hold a secret are refused by name, and a result that contains a secret
    under another name is refused by value.

    Raises:
        RenderError: other Jinja, a variable that is not set and has no default, or a secret.
    """
    if "{" not in text:
        return text
    pieces: list[str] = []
    done = 0
    for match in _CALL.finditer(text):
        pieces += [_literal(text[done : match.start()]), _value(match, environ)]
        done = match.end()
    if not pieces:
        return _literal(text)
    pieces.append(_literal(text[done:]))
    rendered = "".join(pieces)
    if reveals_secret(rendered, environ):
        raise RenderError("it renders to something that holds a key; keys come from the environment only")
    return rendered


def _value(match: re.Match[str], environ: Mapping[str, str]) -> str:
    name = _unquote(match["name"])
    if is_secret_name(name):
        raise RenderError(
            f"the variable {name} holds a secret by its name; such a variable is never put into a setting"
        )
    value = environ.get(name)
    if value is not None:
        return value
    if match["default"] is None:
        raise RenderError(f"the variable {name} is not set, and env_var has no default here")
    return _unquote(match["default"])


def _literal(text: str) -> str:
    if _OTHER_JINJA.search(text):
        raise RenderError("of Jinja, only {{ env_var('NAME', 'default') }} is understood here")
    return text


def _unquote(literal: str) -> str:
    if literal[0] not in "'\"":
        return literal
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[0]), literal[1:-1])
