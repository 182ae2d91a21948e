"""API keys: where they come from, how one is recognised, and which variables hold one.

A key comes from the environment and from nowhere else. What looks like one in a file of the repository is refused,
and no message ever shows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from osmosis_synthesize.providers.known import KNOWN_PROVIDERS
from osmosis_synthesize.secret import Secret

OWN_KEY_VARIABLE = "OSMOSIS_LLM_API_KEY"

_LOOKS_LIKE_KEY = re.compile(
    r"""
      \b(?:sk|pk|rk|gsk|xai|pplx|hf|r8)[-_][A-Za-z0-9_-]{16,}   # OpenAI, Anthropic, OpenRouter, Groq, xAI, …
    | \bAIza[A-Za-z0-9_-]{30,}                                  # Google
    | \b(?:gh[pousr]_|github_pat_|glpat-)[A-Za-z0-9_-]{16,}     # GitHub, GitLab
    | \bA(?:KIA|SIA)[A-Z0-9]{16}\b                              # AWS
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}                 # a JSON web token (Entra and others)
    | \bBearer\s+\S{16,}
    | ^[0-9a-fA-F]{32}$ | ^[A-Za-z0-9]{84}$                     # Azure OpenAI, old and new
    | ://[^/\s:@]*:[^/\s@]+@                                    # a password in a URL
    | -----BEGIN [A-Z ]*PRIVATE KEY
    """,
    re.VERBOSE,
)

_SECRET_WORDS = frozenset(
    {"key", "keys", "token", "auth", "authorization", "pass", "pwd", "pat", "dsn", "cookie", "jwt", "bearer"}
)
_SECRET_PARTS = ("secret", "passw", "passphrase", "credential", "apikey", "accesskey", "privatekey")


def looks_like_key(text: str) -> bool:
    """Whether ``text`` holds something with the shape of an API key, a token or a password in a URL."""
    return _LOOKS_LIKE_KEY.search(text) is not None


def is_secret_name(name: str) -> bool:
    """Whether a setting or an environment variable of this name is meant to hold a secret.

    Goes by whole words (``OPENAI_API_KEY``, ``GITHUB_TOKEN``; not ``MAX_TOKENS``, ``KEYBOARD``) and by parts that mean
    nothing else (``PGPASSWORD``, ``DBT_ENV_SECRET_X``).
    """
    lowered = name.lower()
    return not _SECRET_WORDS.isdisjoint(re.split(r"[^a-z0-9]+", lowered)) or any(
        part in lowered for part in _SECRET_PARTS
    )


def reveals_secret(text: str, environ: Mapping[str, str]) -> bool:
    """Whether ``text`` looks like a key, or contains what a variable that is meant to hold a secret has as its value.

    Short values are passed over: ``on`` in a variable with ``KEY`` in its name is no secret.
    """
    return looks_like_key(text) or any(
        len(value) >= 8 and value in text and is_secret_name(name) for name, value in environ.items()
    )


def own_key_variables(provider: str) -> tuple[str, ...]:
    """The variables a provider's own key may stand in, first wins; a provider of a third party has ``<NAME>_API_KEY``."""
    if provider in KNOWN_PROVIDERS:
        return KNOWN_PROVIDERS[provider].key_variables
    return (re.sub(r"[^A-Z0-9]+", "_", provider.upper()) + "_API_KEY",)


def without_keys(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment for other programs: without the keys that are for providers alone."""
    keys = {OWN_KEY_VARIABLE, *(variable for known in KNOWN_PROVIDERS.values() for variable in known.key_variables)}
    return {name: value for name, value in environ.items() if name not in keys}


def api_key(provider: str, environ: Mapping[str, str], *, own_only: bool = False) -> Secret | None:
    """The key for ``provider``, or ``None`` where the environment has none.

    ``OSMOSIS_LLM_API_KEY`` comes first, then the provider's own variable (``OPENAI_API_KEY``, ``ANTHROPIC_API_KEY``,
    …). ``own_only`` leaves out the first, which the user set without naming a provider: a repository that chooses
    the provider must not thereby choose who gets it.
    """
    shared = () if own_only else (OWN_KEY_VARIABLE,)
    for variable in (*shared, *own_key_variables(provider)):
        value = environ.get(variable, "").strip()
        if value:
            return Secret(value, origin=variable)
    return None
