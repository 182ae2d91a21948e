"""What the client can do, as far as we ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from lsprotocol import types

from osmosis_synthesize.text import PositionEncoding


@dataclass(frozen=True, slots=True)
class Abilities:
    """One flag a question. What is not offered is not used; nothing else of the client's capabilities is looked at."""

    encoding: PositionEncoding = "utf-16"
    configuration: bool = False
    """It answers ``workspace/configuration``."""
    configuration_changes: bool = False
    """It can be asked to tell when they change."""
    watched_files: bool = False
    """It can be asked to watch files."""
    pull_diagnostics: bool = False
    """It asks for diagnostics, and can be told to ask again. Neovim 0.11 cannot: what it was told first would stay for ever."""
    lens_refresh: bool = False
    progress: bool = False
    document_changes: bool = False
    """It takes versioned edits."""
    change_annotations: bool = False
    create_files: bool = False
    action_literals: bool = False
    """It takes code actions; one that does not takes commands in their place."""
    resolves_edits: bool = False
    """It asks for the edit of a code action when that is chosen."""
    disabled_actions: bool = False
    """It shows why a code action cannot be had."""
    llm_tag: bool = False
    markdown: bool = False

    @property
    def makes_files(self) -> bool:
        """Whether an edit may bring a new file."""
        return self.document_changes and self.create_files


def abilities_of(capabilities: types.ClientCapabilities, encoding: object) -> Abilities:
    """Read them from what ``initialize`` brought."""
    code_action = _at(capabilities, "text_document.code_action")
    edit = _at(capabilities, "workspace.workspace_edit")
    return Abilities(
        encoding=cast("PositionEncoding", str(getattr(encoding, "value", encoding))),
        configuration=bool(_at(capabilities, "workspace.configuration")),
        configuration_changes=bool(_at(capabilities, "workspace.did_change_configuration.dynamic_registration")),
        watched_files=bool(_at(capabilities, "workspace.did_change_watched_files.dynamic_registration")),
        pull_diagnostics=_at(capabilities, "text_document.diagnostic") is not None
        and bool(_at(capabilities, "workspace.diagnostics.refresh_support")),
        lens_refresh=bool(_at(capabilities, "workspace.code_lens.refresh_support")),
        progress=bool(_at(capabilities, "window.work_done_progress")),
        document_changes=bool(_at(edit, "document_changes")),
        change_annotations=_at(edit, "change_annotation_support") is not None,
        create_files=types.ResourceOperationKind.Create in (_at(edit, "resource_operations") or ()),
        action_literals=_at(code_action, "code_action_literal_support") is not None
        or _at(code_action, "resolve_support") is not None,
        resolves_edits="edit" in (_at(code_action, "resolve_support.properties") or ())
        and bool(_at(code_action, "data_support")),
        disabled_actions=bool(_at(code_action, "disabled_support")),
        llm_tag=types.CodeActionTag.LlmGenerated in (_at(code_action, "tag_support.value_set") or ()),
        markdown=types.MarkupKind.Markdown in (_at(capabilities, "text_document.hover.content_format") or ()),
    )


def _at(value: object, path: str) -> Any:
    """Follow attributes until one is absent."""
    for name in path.split("."):
        if value is None:
            return None
        value = getattr(value, name, None)
    return value
