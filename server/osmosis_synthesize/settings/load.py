"""Reads the settings from every place they can stand in, the later one winning:

defaults, ``vars: dbt-osmosis: llm:`` in ``dbt_project.yml``, the same in ``vars.yml``, the environment (the provider's
own variables, then ``OSMOSIS_LLM_<SETTING>``), then the command line or the editor.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from osmosis_synthesize.errors import SettingsError
from osmosis_synthesize.providers.base import ProviderConfig
from osmosis_synthesize.providers.endpoint import TRUST_VARIABLE, is_own_host, is_trusted, parse_url
from osmosis_synthesize.providers.known import DEFAULT_PROVIDER, known
from osmosis_synthesize.settings.env_var import RenderError, render
from osmosis_synthesize.settings.fields import FIELDS, IN_DOUBT, PROVIDER_BOUND
from osmosis_synthesize.settings.keys import (
    OWN_KEY_VARIABLE,
    api_key,
    is_secret_name,
    looks_like_key,
    own_key_variables,
)
from osmosis_synthesize.settings.model import Origin, Settings
from osmosis_synthesize.settings.ollama import ollama_base_url
from osmosis_synthesize.settings.yaml_file import Value, YamlError, from_plain, parse_yaml, read_text

_PREFIX = "OSMOSIS_LLM_"
_OPTIONS = {"max_cost_per_run": "--llm-max-cost"}
"""Options that are not called ``--llm-`` and the setting's name."""


class _Entry(NamedTuple):
    """A setting as it was found."""

    key: str
    value: object
    origin: Origin


@dataclass(slots=True)
class _Findings:
    """What is wrong, and what is only worth saying."""

    errors: list[SettingsError] = field(default_factory=list[SettingsError])
    warnings: list[str] = field(default_factory=list[str])

    def wrong(self, key: str, origin: Origin, message: str, *, hint: str | None = None) -> None:
        self.errors.append(SettingsError(f"{origin}: {message}", key=key, origin=str(origin), hint=hint))


def load_settings(
    project_dir: Path | None,
    *,
    variables: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    overrides_from: Literal["command line", "editor"] = "command line",
    environ: Mapping[str, str] | None = None,
    tolerant: bool = False,
) -> Settings:
    """The settings for the project in ``project_dir`` (``None``: no project).

    ``variables`` are a project's ``vars``, from a caller that has them already: they stand for its files.
    ``overrides`` are settings by name, typed or as text; ``None`` as a value means that it was not given. They count
    as the user's own words, so an editor passes ``base_url`` and ``trusted_hosts`` only from a scope that the
    repository cannot write. ``environ`` is the process's environment unless given.

    A value that a stronger place overrides is not looked at. ``tolerant`` turns each error into a warning and the
    setting into its default, for a server that must not die of a typo; a budget that cannot be read is then 0.

    Raises:
        SettingsError: one or more values are not allowed; all of them are named at once.
    """
    environ = os.environ if environ is None else environ
    findings = _Findings()
    from_files = {entry.key: entry for entry in _from_repository(project_dir, variables, findings)}
    stronger = {entry.key: entry for entry in _from_environment(environ, findings)}
    stronger |= {entry.key: entry for entry in _from_overrides(overrides or {}, overrides_from, findings)}

    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}

    def take(entry: _Entry | None) -> None:
        """Read one value and remember where it came from, or what is wrong with it."""
        if entry is not None:
            try:
                values[entry.key] = _typed(entry, environ)
                origins[entry.key] = entry.origin
            except (ValueError, TypeError) as error:
                findings.wrong(entry.key, entry.origin, _not_allowed(entry, error))
                if entry.key in IN_DOUBT:
                    values[entry.key] = IN_DOUBT[entry.key]

    take(stronger.get("provider") or from_files.get("provider"))
    provider: str = values.get("provider", DEFAULT_PROVIDER)
    if not _fits(from_files, provider, environ):
        for key in sorted(PROVIDER_BOUND & from_files.keys()):
            place = from_files.pop(key).origin
            if provider != "facts":  # which has no use for any of them
                findings.warnings.append(f"{place}: {key} is not used: it is not meant for the provider {provider}")
    own = {entry.key: entry for entry in _from_provider_variables(provider, environ)}
    for key, entry in (from_files | own | stronger).items():
        if key != "provider":
            take(entry)

    _settle_cache_dir(values, origins, project_dir, environ, findings)
    settings = _complete(values, origins, environ, findings)
    if findings.errors and not tolerant:
        raise _combined(findings.errors)
    return replace(settings, warnings=(*findings.warnings, *map(str, findings.errors)))


def _typed(entry: _Entry, environ: Mapping[str, str]) -> Any:
    value = entry.value
    if isinstance(value, Value):
        value = _rendered(value, environ)
    return FIELDS[entry.key].read(value)


def _rendered(value: Value, environ: Mapping[str, str]) -> object:
    data = value.data
    if isinstance(data, str):
        return render(data, environ)
    if isinstance(data, Mapping):
        return {key: _rendered(item, environ) for key, item in data.items()}
    return None if data is None else [_rendered(item, environ) for item in data]


def _fits(from_files: Mapping[str, _Entry], provider: str, environ: Mapping[str, str]) -> bool:
    """Whether what the files say about a provider was written for the one in use.

    A model's name or an address that stands beside ``provider: openai`` means nothing to the provider that the user
    chose instead.
    """
    entry = from_files.get("provider")
    if entry is None:
        return provider == DEFAULT_PROVIDER
    try:
        return _typed(entry, environ) == provider
    except (ValueError, TypeError):
        return False


def _not_allowed(entry: _Entry, error: Exception) -> str:
    if isinstance(error, RenderError):
        return f"{entry.key} cannot be used: {error}."
    value = entry.value.data if isinstance(entry.value, Value) else entry.value
    if isinstance(value, Mapping):
        shown, hint = "a mapping", " (a value that starts with {{ needs quotes around it)"
    elif isinstance(value, tuple | list):
        shown, hint = "a list", ""
    elif looks_like_key(str(value)):
        shown, hint = "not shown, since it looks like a key", ""
    else:
        text = str(value)
        shown, hint = repr(text if len(text) <= 80 else text[:77] + "…"), ""
    return f"{entry.key} is {shown}{hint}; it must be {FIELDS[entry.key].allowed}."


# Files of the repository


def _from_repository(
    project_dir: Path | None, variables: Mapping[str, Any] | None, findings: _Findings
) -> Iterable[_Entry]:
    if variables is not None:
        yield from _from_llm(_llm(from_plain({"vars": variables}), ""), Origin("dbt_project.yml"), findings)
        return
    if project_dir is None:
        return
    project = _read_file(project_dir / "dbt_project.yml", findings)
    name = project.get("name") if project is not None else None
    scope = name.data if name is not None and isinstance(name.data, str) else ""
    if project is not None:
        yield from _from_llm(
            _llm(project, scope), Origin("dbt_project.yml", project_dir / "dbt_project.yml"), findings
        )
    vars_file = _read_file(project_dir / "vars.yml", findings)
    if vars_file is not None:
        yield from _from_llm(
            _llm(vars_file, scope, bare=True), Origin("vars.yml", project_dir / "vars.yml"), findings
        )


def _read_file(path: Path, findings: _Findings) -> Value | None:
    """The file, or ``None`` where there is none or it cannot hold settings of ours: most need no YAML reader."""
    try:
        text = read_text(path)
        return parse_yaml(text) if text is not None and "llm" in text and "osmosis" in text else None
    except YamlError as error:
        findings.errors.append(SettingsError(f"{path} {error}.", key="", origin=str(path)))
        return None


def _llm(file: Value, project_name: str, *, bare: bool = False) -> Value | None:
    """The ``llm:`` mapping. Variables under the project's own name win over global ones as a whole, as in dbt.

    ``bare``: the file may also hold the variables themselves, without ``vars:`` above them.
    """
    places: list[tuple[str, ...]] = [("vars", project_name), ("vars",)]
    if bare:
        places += [(project_name,), ()]
    for keys in places:
        for osmosis in ("dbt-osmosis", "dbt_osmosis"):
            found = file.get(*keys, osmosis)
            if found is not None:
                return found.get("llm")
    return None


def _from_llm(llm: Value | None, origin: Origin, findings: _Findings) -> Iterable[_Entry]:
    if llm is None:
        return
    if not isinstance(llm.data, Mapping):
        findings.wrong("llm", replace(origin, line=llm.line), "llm must be a mapping of settings.")
        return
    for written, value in llm.data.items():
        key = written.replace("-", "_")
        place = replace(origin, line=value.line)
        if _holds_key(key, value):
            findings.wrong(
                key,
                place,
                f"{written} is refused: a key does not belong into a file of the repository.",
                hint=f"Set it in the environment, e.g. as {OWN_KEY_VARIABLE}, and replace it if it was ever committed.",
            )
        elif key == "trusted_hosts":
            hint = f"Set {TRUST_VARIABLE}, or trusted_hosts in the user's configuration file."
            findings.wrong(key, place, "a repository cannot say which hosts its user trusts.", hint=hint)
        elif key not in FIELDS:
            findings.warnings.append(f"{place}: {_unknown(written, FIELDS)}")
        elif value.data is not None:
            yield _Entry(key, value, place)


def _holds_key(key: str, value: Value) -> bool:
    """Whether a setting of the repository is a key by its name, or holds what looks like one at any depth."""
    if key not in FIELDS and is_secret_name(key):
        return True
    seen: set[int] = set()  # aliases may nest, and an alias has its anchor's very data
    waiting = [value]
    while waiting:
        data = waiting.pop().data
        if isinstance(data, str):
            if looks_like_key(data):
                return True
        elif data is not None and id(data) not in seen:
            seen.add(id(data))
            waiting += data.values() if isinstance(data, Mapping) else data
    return False


# The environment


def _from_environment(environ: Mapping[str, str], findings: _Findings) -> Iterable[_Entry]:
    for name, value in environ.items():
        if not name.startswith(_PREFIX) or name == OWN_KEY_VARIABLE or not value.strip():
            continue
        key = name.removeprefix(_PREFIX).lower()
        if key in FIELDS:
            yield _Entry(key, value, Origin("environment", name=name))
        else:
            findings.warnings.append(_unknown(name, [_PREFIX + known.upper() for known in FIELDS]))


def _from_provider_variables(provider: str, environ: Mapping[str, str]) -> Iterable[_Entry]:
    """What the provider's own SDK or tools read from the environment; the first variable that is set wins."""
    row = known(provider)
    pairs = [*(("base_url", variable) for variable in row.base_url_variables), *row.option_variables]
    for key, variable in reversed(pairs):
        value = environ.get(variable, "").strip()
        if value:
            if variable == "OLLAMA_HOST":
                value = ollama_base_url(value)
            yield _Entry(key, value, Origin("environment", name=variable))


# Command line and editor


def _from_overrides(
    overrides: Mapping[str, Any], kind: Literal["command line", "editor"], findings: _Findings
) -> Iterable[_Entry]:
    for key, value in overrides.items():
        if value is None:
            continue
        name = _OPTIONS.get(key, "--llm-" + key.replace("_", "-")) if kind == "command line" else key
        if key in FIELDS:
            yield _Entry(key, value, Origin(kind, name=name))
        else:
            findings.warnings.append(_unknown(name, FIELDS))


def _unknown(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name.replace("-", "_"), known, n=1)
    return f"{name} is no setting{f'; did you mean {near[0]}?' if near else ''}"


# What follows from the values


def _complete(
    values: dict[str, Any], origins: dict[str, Origin], environ: Mapping[str, str], findings: _Findings
) -> Settings:
    """Fill in what depends on other values: the provider's default model, and whether its address is trusted."""
    provider: str = values.get("provider", DEFAULT_PROVIDER)
    if "model" not in values:
        values["model"] = values.get("deployment") or known(provider).model
    url: str | None = values.get("base_url")
    if url is not None and origins["base_url"].from_repository and not is_trusted(url, provider):
        hosts = (*values.get("trusted_hosts", ()), *_user_trusted_hosts(findings))
        values["trusted_hosts"] = hosts
        values["base_url_trusted"] = is_trusted(url, provider, hosts)
    settings = Settings(**values, origins=MappingProxyType(origins))
    own = own_key_variables(provider)
    if (
        own
        and environ.get(OWN_KEY_VARIABLE)
        and _own_key_only(settings)
        and api_key(provider, environ, own_only=True) is None
    ):
        findings.warnings.append(
            f"{origins['provider']}: the repository chose the provider {provider}, so {OWN_KEY_VARIABLE} is not sent "
            f"to it; set {_PREFIX}PROVIDER={provider} too, or put the key into {own[0]}"
        )
    return settings


def _settle_cache_dir(
    values: dict[str, Any],
    origins: dict[str, Origin],
    project_dir: Path | None,
    environ: Mapping[str, str],
    findings: _Findings,
) -> None:
    """Make the folder of the replies an absolute one, if it is inside the project and the user named none."""
    name: str | None = values.pop("cache_dir", None)
    if name is None or project_dir is None or environ.get("OSMOSIS_CACHE_DIR"):
        return
    root = Path(os.path.realpath(project_dir))
    folder = Path(os.path.realpath(root / name))
    # A repository can hold symbolic links, and what is opened would be made where they lead.
    if folder == root or not folder.is_relative_to(root) or any(map(Path.is_symlink, folder.glob("*.sqlite3*"))):
        findings.wrong("cache_dir", origins["cache_dir"], f"cache_dir is {name!r}, which leads out of the project.")
    else:
        values["cache_dir"] = folder


def _own_key_only(settings: Settings) -> bool:
    """Whether the repository alone chose who would get the key in ``OSMOSIS_LLM_API_KEY``.

    It did if it named the provider and the calls go to that provider's own host. At any other host the user was
    asked for trust, or it is this machine.
    """
    if not settings.origin("provider").from_repository or settings.provider == DEFAULT_PROVIDER:
        return False
    url = settings.base_url or known(settings.provider).base_url
    address = parse_url(url) if url is not None else None
    return address is None or is_own_host(address, settings.provider)


def user_config_file() -> Path:
    """The user's own configuration file, which need not exist. Its one setting is ``trusted_hosts``, a list."""
    from platformdirs import user_config_path

    return user_config_path("osmosis-synthesize", appauthor=False) / "config.toml"


def _user_trusted_hosts(findings: _Findings) -> tuple[str, ...]:
    path = user_config_file()
    origin = Origin("user configuration", path)
    try:
        text = read_text(path)
        if text is None:
            return ()
        import tomllib

        return FIELDS["trusted_hosts"].read(tomllib.loads(text).get("trusted_hosts", []))
    except YamlError as error:
        findings.wrong("trusted_hosts", origin, f"the file {error}.")
    except (ValueError, TypeError) as error:  # of the TOML reader, or of the setting's own
        reason = str(error) or f"it must be {FIELDS['trusted_hosts'].allowed}"
        findings.wrong("trusted_hosts", origin, f"trusted_hosts cannot be read: {reason}.")
    return ()


def _combined(errors: list[SettingsError]) -> SettingsError:
    if len(errors) == 1:
        return errors[0]
    return SettingsError(
        f"{len(errors)} settings cannot be used. " + " ".join(map(str, errors)),
        key=", ".join(error.key for error in errors),
        origin=", ".join(error.origin for error in errors),
    )


def provider_config(settings: Settings, environ: Mapping[str, str] | None = None) -> ProviderConfig:
    """All the chosen provider is made from.

    The key is left out where ``base_url`` is not trusted: the provider refuses such an address by
    ``base_url_trusted``, and has nothing to send if it does not.
    """
    environ = os.environ if environ is None else environ
    options = {"api_version": settings.api_version, "deployment": settings.deployment}
    key = api_key(settings.provider, environ, own_only=_own_key_only(settings)) if settings.base_url_trusted else None
    return ProviderConfig(
        name=settings.provider,
        model=settings.model or "",
        api_key=key,
        base_url=settings.base_url or known(settings.provider).base_url,
        base_url_trusted=settings.base_url_trusted,
        base_url_origin=str(settings.origin("base_url")),
        timeout=settings.timeout,
        max_retries=settings.max_retries,
        options={name: value for name, value in options.items() if value is not None},
    )
