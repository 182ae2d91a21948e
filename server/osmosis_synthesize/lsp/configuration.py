"""The editor's settings: those of the engine, and a few of the server's own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, cast

from osmosis_synthesize.lsp.messages import Choice
from osmosis_synthesize.providers.known import known
from osmosis_synthesize.settings import Settings, load_settings
from osmosis_synthesize.settings.fields import FIELDS, PROVIDER_BOUND

SECTION: Final = "osmosis"

Severity = Literal["off", "hint", "information", "warning", "error"]
_SEVERITIES: Final = ("off", "hint", "information", "warning", "error")

_USERS_OWN: Final = frozenset({"base_url", "trusted_hosts", "dbt_command", "language_model"})
"""Settings that decide where a key is sent or what is executed, or that say what the client can do. An editor's workspace
settings may be a file of the repository, so these are taken only from the options that come with ``initialize``, which the
user's own configuration of the editor sends."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the editor has set."""

    overrides: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Of the engine's settings, by their names there."""
    severity: Severity = "hint"
    """Of the diagnostic that marks a gap."""
    code_lens: bool = True
    dbt_command: tuple[str, ...] = ()
    """The words that start dbt; empty to look for it."""
    language_model: bool = False
    """Whether the client has a language model of its own that may be asked."""
    problems: tuple[str, ...] = ()
    """What could not be used, for the user."""

    choice: Choice | None = None
    """The provider and model that the user has chosen over all settings."""

    def settings(self, project_dir: Path | None) -> Settings:
        """The settings of a project under these; what they say of another provider than the chosen one is left out."""
        now = load_settings(project_dir, overrides=self.overrides, overrides_from="editor", tolerant=True)
        if self.choice is None or self.choice.provider is None:
            return now
        provider = self.choice.provider
        kept = {
            key: value
            for key, value in self.overrides.items()
            if provider == now.provider or key not in PROVIDER_BOUND
        }
        chosen = {"provider": provider, "model": self.choice.model or known(provider).model}
        return load_settings(project_dir, overrides=kept | chosen, overrides_from="editor", tolerant=True)


def read_configuration(given: object, initial: object = None) -> Configuration:
    """Read the section ``osmosis`` of the client's configuration, and the options that came with ``initialize``.

    Names are taken in camel case, as editors have them, and in snake case. What makes no sense is named in
    :attr:`Configuration.problems` and has no effect otherwise.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    for source, trusted in ((initial, True), (given, False)):
        for name, value in _mapping(source).items():
            key = _snake(str(name))
            if value is None:
                continue
            if key in _USERS_OWN and not trusted:
                if value and value != values.get(key):
                    problems.append(
                        f"{SECTION}.{name} is not used: where a key may be sent, and what may be executed, is said in "
                        "the options that come with `initialize`, never in settings that a repository may bring."
                    )
                continue
            values[key] = value
    overrides = {key: value for key, value in values.items() if key in FIELDS}
    diagnostics = {_snake(str(name)): value for name, value in _mapping(values.get("diagnostics")).items()}
    severity = diagnostics.get("severity", "hint")
    if severity not in _SEVERITIES:
        problems.append(
            f"{SECTION}.diagnostics.severity is {severity!r}; it must be one of {', '.join(_SEVERITIES)}."
        )
        severity = "hint"
    lens = _mapping(values.get("code_lens")).get("enable", True)
    command = _words(values.get("dbt_command", ()))
    if command is None:
        problems.append(f"{SECTION}.dbtCommand must be a path, or a list of words.")
    return Configuration(
        MappingProxyType(overrides),
        severity,
        code_lens=lens is not False,
        dbt_command=command or (),
        language_model=values.get("language_model") is True,
        problems=tuple(problems),
    )


def _words(value: object) -> tuple[str, ...] | None:
    """A command as words; ``None`` if it is none. A text is one word: paths may hold spaces."""
    if isinstance(value, str):
        return (value,) if value.strip() else ()
    if not isinstance(value, Sequence):
        return None
    words = cast("Sequence[object]", value)
    return tuple(word for word in words if isinstance(word, str)) if all(isinstance(w, str) for w in words) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: f"_{match[1].lower()}", name)
