"""The environment variables of dbt-osmosis, in our words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Familiar(NamedTuple):
    """A provider as dbt-osmosis 1.5 calls it."""

    provider: str
    model: str
    """The variable with the model's name."""
    base_url: str | None = None
    key: str | None = None
    """The variables, where they are others than ours."""
    key_here: str = ""


# Facts: dbt-osmosis 1.5.0, the functions _build_…_client in dbt_osmosis/core/llm.py.
_PROVIDERS: Final = {
    "openai": _Familiar("openai", "OPENAI_MODEL"),
    "azure-openai": _Familiar("azure", "AZURE_OPENAI_DEPLOYMENT_NAME", "AZURE_OPENAI_BASE_URL"),
    "azure-openai-ad": _Familiar("azure", "AZURE_OPENAI_DEPLOYMENT_NAME", "AZURE_OPENAI_BASE_URL"),
    "anthropic": _Familiar("anthropic", "ANTHROPIC_MODEL", "ANTHROPIC_BASE_URL"),
    "google-gemini": _Familiar(
        "gemini", "GOOGLE_GEMINI_MODEL", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_GEMINI_API_KEY", "GEMINI_API_KEY"
    ),
    "lm-studio": _Familiar("lm-studio", "LM_STUDIO_MODEL", "LM_STUDIO_BASE_URL"),
    "ollama": _Familiar("ollama", "OLLAMA_MODEL", "OLLAMA_BASE_URL"),
}

# dbt-osmosis speaks OpenAI's protocol to these, below this path; we speak their own, at the root.
_NATIVE: Final = frozenset({"anthropic", "ollama"})


def familiar_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` with what dbt-osmosis's variables say in ours too, where ours do not say otherwise.

    They count only where ``LLM_PROVIDER`` is set: a lone ``OPENAI_MODEL`` says nothing about who is to be asked.
    """
    found = dict(environ)
    row = _PROVIDERS.get(environ.get("LLM_PROVIDER", "").strip().lower())
    if row is None or environ.get("OSMOSIS_LLM_PROVIDER", row.provider) != row.provider:
        return found
    url = environ.get(row.base_url, "") if row.base_url is not None else ""
    if row.provider in _NATIVE:
        url = url.rstrip("/").removesuffix("/v1")
    ours = {
        "OSMOSIS_LLM_PROVIDER": row.provider,
        "OSMOSIS_LLM_MODEL": environ.get(row.model, ""),
        "OSMOSIS_LLM_BASE_URL": url,
    }
    if row.key is not None:
        ours[row.key_here] = environ.get(row.key, "")
    for name, value in ours.items():
        if value:
            found.setdefault(name, value)
    return found
