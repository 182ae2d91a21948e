"""Makes dbt-osmosis's own ``--synthesize`` use this engine.

dbt-osmosis is never imported here unless the user asks for this. What is replaced stands in one table, with the signature
each function must have: a release that looks otherwise is refused rather than half replaced.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from osmosis_synthesize.errors import UsageError
from osmosis_synthesize.llm.config import LLMConfig
from osmosis_synthesize.llm.familiar import familiar_environment

if TYPE_CHECKING:
    from pathlib import Path

    from osmosis_synthesize.llm.provider import LLMProvider

KNOWN_VERSIONS: Final = ("1.5",)
"""Releases of dbt-osmosis, by the start of their number, that :func:`install` knows."""

_HINT: Final = "Known are dbt-osmosis 1.5.x: pip install 'dbt-osmosis~=1.5.0'"

_SYNTHESIZE: Final = "synthesize_missing_documentation_with_openai"
# Module below dbt_osmosis.core, function, and the names of its parameters in dbt-osmosis 1.5.0.
_SHAPE: Final = (
    ("transforms", _SYNTHESIZE, ("context", "node")),
    ("llm", "generate_model_spec_as_json", ("sql_content", "upstream_docs", "existing_context", "temperature")),
    (
        "llm",
        "generate_column_doc",
        ("column_name", "existing_context", "table_name", "upstream_docs", "temperature"),
    ),
    ("llm", "generate_table_doc", ("sql_content", "table_name", "upstream_docs", "temperature")),
)


def install(overrides: Mapping[str, Any] | None = None) -> str:
    """Make ``dbt-osmosis yaml document|refactor --synthesize`` of this process use this engine.

    Replaces dbt-osmosis's synthesis of a node, and its functions for one model, table and column, wherever they were
    imported. May be called again, with other overrides. Settings come from the project (``vars: dbt-osmosis: llm:``), the
    environment (``OSMOSIS_LLM_…``, or dbt-osmosis's own variables where ``LLM_PROVIDER`` is set) and ``overrides``, which are
    settings by name, as on a command line.

    Returns:
        dbt-osmosis's version.

    Raises:
        UsageError: dbt-osmosis is not installed, or is none that this knows. Nothing was replaced.
    """
    import importlib
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("dbt-osmosis")
        modules = {name: importlib.import_module(f"dbt_osmosis.core.{name}") for name, _, _ in _SHAPE}
        importlib.import_module("dbt_osmosis.cli.main")  # it imports by name, so it has to be there to be replaced in
    except (PackageNotFoundError, ImportError) as error:
        raise UsageError(f"dbt-osmosis is not installed, or cannot be imported: {error}.", hint=_HINT) from error
    if ".".join(found.split(".")[:2]) not in KNOWN_VERSIONS:
        raise UsageError(f"dbt-osmosis {found} is none that can be made to use this engine.", hint=_HINT)
    present = {name: getattr(modules[module], name, None) for module, name, _ in _SHAPE}
    for module, name, parameters in _SHAPE:
        if not _is_ours(present[name]) and _parameters(present[name]) != parameters:
            raise UsageError(f"dbt_osmosis.core.{module}.{name} of dbt-osmosis {found} is not as known.", hint=_HINT)
    for name, function in _replacements(dict(overrides or {})).items():
        _replace(name, present[name], function)
    return found


def _parameters(function: object) -> tuple[str, ...] | None:
    import inspect

    return tuple(inspect.signature(function).parameters) if callable(function) else None


def _is_ours(function: object) -> bool:
    return getattr(function, "__module__", None) == __name__


def _replace(name: str, old: object, new: object) -> None:
    for module_name, module in list(sys.modules.items()):
        if module_name.split(".")[0] == "dbt_osmosis" and getattr(module, name, None) is old:
            setattr(module, name, new)


def _replacements(overrides: dict[str, Any]) -> dict[str, Callable[..., Any]]:
    """By the name of what each replaces, and with its signature."""

    def synthesize_missing_documentation_with_openai(context: Any, node: Any = None) -> None:
        """Describe what is undocumented in one node, or in all that were selected."""
        from osmosis_synthesize.llm import nodes

        runtime = context.project.runtime_cfg
        with _provider(runtime.project_root, runtime.project_name, overrides) as provider:
            if node is not None:
                nodes.fill(provider, context, node)
            else:
                nodes.fill_all(provider, context)

    def generate_model_spec_as_json(
        sql_content: str,
        upstream_docs: list[str] | None = None,
        existing_context: str | None = None,
        temperature: float = 0.3,
    ) -> dict[str, Any]:
        """A model's description and its columns'."""
        from osmosis_synthesize.llm.generate import generate_model_docs

        with _provider(None, "", overrides, temperature=temperature) as provider:
            return generate_model_docs(provider, sql_content, upstream_docs, context=existing_context)

    def generate_column_doc(
        column_name: str,
        existing_context: str | None = None,
        table_name: str | None = None,
        upstream_docs: list[str] | None = None,
        temperature: float = 0.7,
    ) -> str:
        """A column's description."""
        from osmosis_synthesize.llm import generate

        known = {"existing_context": existing_context, "table_name": table_name, "upstream_docs": upstream_docs}
        with _provider(None, "", overrides, temperature=temperature) as provider:
            return generate.generate_column_doc(provider, column_name, known)

    def generate_table_doc(
        sql_content: str, table_name: str, upstream_docs: list[str] | None = None, temperature: float = 0.7
    ) -> str:
        """A table's description."""
        from osmosis_synthesize.llm import generate

        with _provider(None, "", overrides, temperature=temperature) as provider:
            return generate.generate_table_doc(provider, sql_content, table_name, upstream_docs)

    functions = (
        synthesize_missing_documentation_with_openai,
        generate_model_spec_as_json,
        generate_column_doc,
        generate_table_doc,
    )
    return {function.__name__: function for function in functions}


def _provider(
    project_dir: Path | str | None,
    project: str,
    overrides: Mapping[str, Any],
    *,
    temperature: float | None = None,
) -> LLMProvider:
    """The provider of a project; ``temperature`` counts where no setting says otherwise."""
    from pathlib import Path

    from osmosis_synthesize.llm.provider import EngineProvider
    from osmosis_synthesize.settings import load_settings, provider_config

    environ = familiar_environment(os.environ)
    root = Path(project_dir) if project_dir is not None else None
    settings = load_settings(root, overrides=overrides, environ=environ)
    if settings.temperature is None:
        settings = replace(settings, temperature=temperature)
    config = LLMConfig.from_settings(settings)
    key = provider_config(settings, environ).api_key
    if key is not None:
        config = replace(config, api_key=key.reveal())
    return EngineProvider(config, project=project)
