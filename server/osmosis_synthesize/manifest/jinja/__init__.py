"""A model's SQL where dbt has not compiled it: Jinja resolved as far as the manifest allows.

Whatever only a warehouse, an environment or a run can tell becomes the identifier ``__unresolved__``, of which lineage
knows that it knows nothing. Conditions on such values count as false.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import CodeType
from typing import Any, Final, NamedTuple

from jinja2 import Template, TemplateError
from jinja2.runtime import Context
from jinja2.utils import missing

from osmosis_synthesize.manifest.jinja import functions
from osmosis_synthesize.manifest.jinja.sandbox import LimitReached, Sandbox
from osmosis_synthesize.manifest.model import UNRESOLVED, Calls, Macro, Node

__all__ = ["Rendered", "Renderer"]

TIME_LIMIT: Final = 1.0
"""Seconds for one model."""

_MACRO_PRICE: Final = 100
"""What a macro's call costs of the budget, beside what it writes."""
_PACKAGE: Final = "__package__"
_ADAPTER_PARENTS: Final = {
    "athena": ("trino",),
    "databricks": ("spark",),
    "fabric": ("sqlserver",),
    "redshift": ("postgres",),
}
"""Whose macros an adapter takes where it has none of its own, as dbt's own adapters declare it."""


class Rendered(NamedTuple):
    """A model's SQL without Jinja."""

    sql: str
    complete: bool
    """False where a part was left out because it hangs on the warehouse: a loop over what a query returns."""
    problem: str | None = None
    """Why there is no SQL."""

    @property
    def is_partial(self) -> bool:
        """Whether something in the SQL is not resolved."""
        return UNRESOLVED in self.sql


class Renderer:
    """Renders the models of one manifest. Macros are compiled once, and run in each model's own sandbox."""

    def __init__(
        self,
        macros: Iterable[Macro],
        *,
        adapter_type: str,
        project_name: str,
        variables: Mapping[str, Any],
        time_limit: float = TIME_LIMIT,
    ) -> None:
        self.macros: Final = {(macro.package_name, macro.name): macro for macro in macros}
        self.packages: Final = frozenset(package for package, _ in self.macros)
        self.adapter_type: Final = adapter_type
        self.adapters: Final = (adapter_type, *_ADAPTER_PARENTS.get(adapter_type, ()))
        self.project_name: Final = project_name
        self.variables: Final = variables
        self._time_limit: Final = time_limit
        self._compiled: Final = dict[str, CodeType]()

    def render(self, node: Node, parents: Mapping[str, Node]) -> Rendered:
        """The SQL of ``node``, which depends on ``parents``. Never raises."""
        plain = _with_references(node.raw_code, parents)
        if plain is not None:
            return Rendered(plain, complete=True)
        sandbox = Sandbox(seconds=self._time_limit)
        sql, problem = self._run(node, _Names(self, node, parents, sandbox))
        if problem is not None:
            return Rendered("", complete=False, problem=problem)
        return Rendered(sql, complete=not sandbox.doubtful)

    def calls(self, node: Node) -> Calls:
        """What ``node`` depends on and how it is configured, by its own code and the macros that it calls. Never raises.

        As when dbt parses it, nothing is executed: what is asked for only then stays unseen.
        """
        sandbox = Sandbox(seconds=self._time_limit)
        recorder = functions.Recorder(sandbox)
        _, problem = self._run(node, _Names(self, node, {}, sandbox, recorder))
        return Calls(tuple(recorder.refs), tuple(recorder.sources), recorder.values, problem)

    def _run(self, node: Node, names: _Names) -> tuple[str, str | None]:
        """What a node's code writes, and why it writes nothing."""
        try:
            template = names.template(names.sandbox.compile(node.raw_code))
            return template.render({_PACKAGE: node.package_name}), None
        except LimitReached as error:
            return "", f"its Jinja is not resolved: {error}"
        except RecursionError:
            return "", "its Jinja is not resolved: it is nested too deeply"
        except TemplateError as error:
            return "", f"its Jinja is not resolved: {error.message or type(error).__name__}"
        except Exception as error:  # noqa: BLE001  (a template can raise whatever Python's operators and methods raise)
            return "", f"its Jinja is not resolved: {type(error).__name__}: {error}"[:300]

    def code_of(self, macro: Macro, sandbox: Sandbox) -> CodeType:
        """A macro, compiled.

        Raises:
            TemplateError: it is no plain template.
        """
        code = self._compiled.get(macro.unique_id)
        if code is None:
            code = self._compiled[macro.unique_id] = sandbox.compile(macro.code)
        return code


_NAME: Final = r"""(?:'([^'\\{}\n]+)'|"([^"\\{}\n]+)")"""
_REFERENCE: Final = re.compile(rf"\{{\{{ *(ref|source)\( *{_NAME} *(?:, *{_NAME} *)?\) *\}}\}}")


def _with_references(code: str, parents: Mapping[str, Node]) -> str | None:
    """Code whose Jinja is references alone, as most models' is, resolved: compiling it would take as long as parsing the SQL.

    ``None`` where there is other Jinja, or a reference that leads nowhere.
    """
    written: list[str] = []
    end = 0
    for match in _REFERENCE.finditer(code):
        first, second = match[2] or match[3] or "", match[4] or match[5]
        if match[1] == "ref":
            node = functions.referred(parents, *((first, None) if second is None else (second, first)))
        else:
            node = functions.source_table(parents, first, second or "")
        if node is None:
            return None
        written += (code[end : match.start()], functions.relation_text(node))
        end = match.end()
    written.append(code[end:].removesuffix("\n"))
    return "".join(written) if not any(mark in text for text in written[::2] for mark in "{}\r") else None


class _Context(Context):
    """Looks for names that a template does not define itself among dbt's functions and the macros."""

    def resolve_or_missing(self, key: str) -> Any:
        """The value of a name, or ``missing``."""
        found = super().resolve_or_missing(key)
        if found is not missing:
            return found
        sandbox: Any = self.environment
        return sandbox.names.find(key, self.parent[_PACKAGE])


class _Names:
    """What the names in one node's template mean."""

    def __init__(
        self,
        renderer: Renderer,
        node: Node,
        parents: Mapping[str, Node],
        sandbox: Sandbox,
        recorder: functions.Recorder | None = None,
    ) -> None:
        self.renderer = renderer
        self.sandbox = sandbox
        sandbox.context_class = _Context
        setattr(sandbox, "names", self)  # noqa: B010  (jinja2's environment is the one thing that a context can reach)
        references = recorder or functions.References(parents, sandbox)
        config = recorder or functions.Config(node.config)
        shared = {"ref": references.ref, "source": references.source, "config": config}
        self._own: dict[str, Any] = {
            **shared,
            "builtins": shared,
            "adapter": _Adapter(self, node.package_name),
            "api": {"Column": functions.ColumnTypes()},
            "dbt_version": "1.0.0",
            "env_var": self._env_var,
            "exceptions": {"warn": functions.nothing},
            "fromjson": functions.from_json,
            "is_incremental": functions.no,
            "log": functions.nothing,
            "model": {"name": node.name, "alias": node.alias, "unique_id": node.unique_id},
            "print": functions.nothing,
            "project_name": renderer.project_name,
            "return": functions.give_back,
            "run_query": sandbox.unknown("run_query"),
            "load_result": sandbox.unknown("load_result"),
            "set": set,
            "should_full_refresh": functions.no,
            "statement": functions.nothing,
            "target": {"type": renderer.adapter_type},
            "this": functions.RelationName(node),
            "tojson": sandbox.filters["tojson"],
            "var": _Variables(self, node.package_name),
            "zip": zip,
        }
        self._modules: dict[str, Any] = {}

    def template(self, code: CodeType) -> Template:
        """Compiled code, ready to run here."""
        return Template.from_code(self.sandbox, code, self.sandbox.globals)

    def find(self, name: str, package: str) -> Any:
        """What a name means in a template of ``package``; jinja2's ``missing`` where it means nothing."""
        if name in self._own:
            return self._own[name]
        internal = [f"dbt_{adapter}" for adapter in self.renderer.adapters]
        for place in (package, self.renderer.project_name, *internal, "dbt"):
            macro = self.renderer.macros.get((place, name))
            if macro is not None:
                return _MacroCall(self, macro)
        return _Package(self, name) if name in self.renderer.packages else missing

    def dispatched(self, name: str, package: str) -> Any:
        """The macro that ``adapter.dispatch`` would choose."""
        internal = [f"dbt_{adapter}" for adapter in self.renderer.adapters] if package == "dbt" else []
        for place in (self.renderer.project_name, *internal, package):
            for prefix in (*self.renderer.adapters, "default"):
                macro = self.renderer.macros.get((place, f"{prefix}__{name}"))
                if macro is not None:
                    return _MacroCall(self, macro)
        return self.sandbox.unknown(name)

    def run(self, macro: Macro, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a macro writes or returns; unresolved where that hangs on the warehouse, or it fails.

        Raises:
            LimitReached: the budget is used up.
        """
        sandbox = self.sandbox
        before, sandbox.doubtful = sandbox.doubtful, False
        sandbox.spend(_MACRO_PRICE)
        try:
            value = self._macro(macro)(*args, **kwargs)
        except functions.Returned as returned:
            value = returned.value
        except (LimitReached, RecursionError):
            raise
        except Exception:  # noqa: BLE001  (a macro can raise whatever Python's operators and methods raise)
            value = sandbox.unknown(macro.name)
        finally:
            doubtful, sandbox.doubtful = sandbox.doubtful, before
        return sandbox.unknown(macro.name) if doubtful else value

    def _macro(self, macro: Macro) -> Any:
        module = self._modules.get(macro.unique_id)
        if module is None:
            template = self.template(self.renderer.code_of(macro, self.sandbox))
            module = self._modules[macro.unique_id] = template.make_module({_PACKAGE: macro.package_name})
        return getattr(module, macro.name)

    def rendered(self, text: str, package: str) -> str:
        """What a text of ``dbt_project.yml`` says in a template of ``package``."""
        self.sandbox.spend(_MACRO_PRICE)
        return self.template(self.sandbox.compile(text)).render({_PACKAGE: package})

    def _env_var(self, name: str, *default: Any) -> Any:
        """The default, always: what the environment holds is nobody's business here."""
        return default[0] if default else self.sandbox.unknown(f"env_var({name})")


class _Variables(functions.Variables):
    """``var``: as dbt does, Jinja in a variable's text is resolved when a template asks for it."""

    def __init__(self, names: _Names, package: str) -> None:
        super().__init__(names.renderer.variables, package, names.sandbox)
        self._names = names
        self._package = package

    def __call__(self, name: str, default: Any = functions.MISSING) -> Any:
        """A variable's value, or ``default`` as it is."""
        value = super().__call__(name, default)
        is_set = isinstance(value, str) and "{{" in value and self.has_var(name)
        return self._names.rendered(value, self._package) if is_set else value


class _MacroCall:
    """A macro as templates call it."""

    __slots__ = ("_macro", "_names")

    def __init__(self, names: _Names, macro: Macro) -> None:
        self._names = names
        self._macro = macro

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._names.run(self._macro, args, kwargs)


class _Package:
    """A package's name in a template: its macros are its attributes."""

    __slots__ = ("_name", "_names")

    def __init__(self, names: _Names, name: str) -> None:
        self._names = names
        self._name = name

    def __getattr__(self, name: str) -> _MacroCall:
        macro = self._names.renderer.macros.get((self._name, name))
        if macro is None:
            raise AttributeError(name)
        return _MacroCall(self._names, macro)


class _Adapter:
    """``adapter``: ``dispatch`` and ``quote``; all else needs a warehouse."""

    __slots__ = ("_names", "_package")

    def __init__(self, names: _Names, package: str) -> None:
        self._names = names
        self._package = package

    def dispatch(self, macro_name: str, macro_namespace: str | None = None, **_options: Any) -> Any:
        """The macro for this adapter, or the default one."""
        return self._names.dispatched(str(macro_name), str(macro_namespace or self._package))

    def quote(self, name: Any) -> str:
        """A name in the quotes of this warehouse."""
        mark = "`" if self._names.renderer.adapter_type in {"bigquery", "databricks", "spark"} else '"'
        return f"{mark}{name}{mark}"
