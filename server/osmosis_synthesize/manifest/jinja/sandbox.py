"""Jinja with a budget: templates of a repository run here, and can neither reach out nor eat time or memory.

jinja2's own sandbox keeps templates from Python's insides. It does not keep them from asking for too much, so
everything that can grow or repeat is counted: loops, calls, output, concatenation, containers inside containers. Only
methods and filters that are known to be harmless exist at all. A template that goes past the budget ends with
:class:`LimitReached`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from itertools import islice
from typing import Any, ClassVar, Final, cast

from jinja2 import ChainableUndefined, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from osmosis_synthesize.manifest.model import UNRESOLVED

_BUDGET: Final = 20_000_000
"""Characters written and things done in one template, what macros hand to each other counted each time."""
_LARGEST: Final = 1_000_000
"""Characters and things in one value."""
_LONGEST_RANGE: Final = 10_000
_MOST_DIGITS: Final = 1_000
"""Of a number, or of a padding's width."""

_WIDE_PERCENT: Final = re.compile(r"%[^a-zA-Z%]*(?:\d{4}|\*)")
_WIDE_BRACES: Final = re.compile(r"\{[^{}]*:[^{}]*(?:\d{4}|\{)")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_METHODS: Final[Mapping[object, frozenset[str]]] = {
    str: _words(
        "capitalize count endswith find format isalnum isalpha isdigit islower isspace istitle isupper join lower lstrip"
        " partition removeprefix removesuffix replace rfind rpartition rsplit rstrip split splitlines startswith strip"
        " swapcase title upper"
    ),
    list: _words("append copy count extend index insert pop remove reverse sort"),
    dict: _words("copy get items keys pop setdefault update values"),
    set: _words("add difference intersection issubset issuperset union"),
    tuple: _words("count index"),
    **dict.fromkeys((int, float, bool, bytes), frozenset[str]()),
}
"""What a template may call on Python's own values. It may change its lists and dicts: nobody else holds them."""

_CONTAINERS: Final = (list, tuple, set, frozenset, dict)

_FILTERS: Final = _words(
    "abs capitalize count d default dictsort e escape first float groupby int items last length list lower map max min"
    " reject rejectattr reverse safe select selectattr sort string sum title trim unique upper wordcount"
)


class LimitReached(Exception):
    """The template asked for more than a model's SQL needs."""


class Unresolved(ChainableUndefined):
    """A value nobody knows without a warehouse, or that is not defined at all. Whatever is done to it, it stays one."""

    _sandbox: ClassVar[Sandbox]
    """Each sandbox has its own subclass, which knows it. Templates cannot read names with an underscore."""

    def __str__(self) -> str:
        return UNRESOLVED

    def __bool__(self) -> bool:
        self._sandbox.doubtful = self._sandbox.doubtful or self._undefined_name == "execute"
        return False

    def __iter__(self) -> Any:
        self._sandbox.doubtful = True
        return iter(())

    def __call__(self, *_args: Any, **_kwargs: Any) -> Unresolved:  # pyright: ignore[reportIncompatibleMethodOverride]  (jinja2's own raises)
        """What an unknown function gives is unknown."""
        return self

    def __len__(self) -> int:
        self._sandbox.doubtful = True
        return 0

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def _same(self, *_others: Any) -> Unresolved:
        return self

    def _never(self, _other: Any) -> bool:
        return False

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _same
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __neg__ = __pos__ = _same
    __lt__ = __le__ = __gt__ = __ge__ = _never


class _CountingCode(CodeGenerator):
    """Compiles templates so that loops, concatenation and containers go through the sandbox's counters."""

    def visit_For(self, node: nodes.For, frame: Frame) -> None:  # noqa: N802  (jinja2 names visitors after nodes)
        if node.recursive:
            self.fail("recursive loops are not resolved", node.lineno)
        written = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
        node.iter = nodes.Call(
            nodes.EnvironmentAttribute("bounded"), [node.iter, nodes.Const(written)], [], None, None
        )
        super().visit_For(node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802  (as above)
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802  (as above)
        self.write("environment.counted(")
        super().visit_List(node, frame)
        self.write(")")

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802  (as above)
        self.write("environment.counted(")
        super().visit_Dict(node, frame)
        self.write(")")

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802  (as above)
        node.expr = _counted(node.expr)
        for operand in node.ops:
            operand.expr = _counted(operand.expr)
        super().visit_Compare(node, frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802  (as above)
        if node.ctx != "load":  # the names on the left of `set a, b =`
            super().visit_Tuple(node, frame)
            return
        self.write("environment.counted(")
        super().visit_Tuple(node, frame)
        self.write(")")


def _counted(node: nodes.Expr) -> nodes.Expr:
    return node if isinstance(node, nodes.Const) else _call("counted", node)


def _call(method: str, *arguments: nodes.Node) -> nodes.Call:
    """A call of one of the sandbox's own methods, which templates cannot name."""
    return nodes.Call(nodes.EnvironmentAttribute(method), list(arguments), [], None, None)


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of one rendering, with what is left of its budget."""

    code_generator_class = _CountingCode
    intercepted_binops: frozenset[str] = frozenset({"+", "*", "**", "%"})

    def __init__(self, *, seconds: float) -> None:
        unresolved = type("UnresolvedHere", (Unresolved,), {"_sandbox": self})
        super().__init__(
            undefined=unresolved, extensions=["jinja2.ext.do"], optimized=False, finalize=self.written, cache_size=0
        )
        self.left = _BUDGET
        self.deadline = time.monotonic() + seconds
        self.doubtful = False
        """Whether something was left out because its number or its presence is not known."""
        kept = {name: self._paid(self.filters[name]) for name in _FILTERS}
        self.filters = {
            **kept,
            "as_bool": _itself,
            "as_native": _itself,
            "as_number": _itself,
            "as_text": _itself,
            "format": self._format,
            "indent": self._indent,
            "join": self._join,
            "replace": self._replace,
            "round": _round,
            "tojson": self._paid(_to_json),
        }
        self.globals = {"dict": dict, "namespace": self.globals["namespace"], "range": self._range}

    def unknown(self, name: str) -> Unresolved:
        """A value that cannot be known here."""
        value: Unresolved = self.undefined(name=name)  # pyright: ignore[reportAssignmentType]  (made so above)
        return value

    # --- the budget ----------------------------------------------------------------------------------------------

    def spend(self, amount: int) -> None:
        """Take ``amount`` from the budget.

        Raises:
            LimitReached: it is used up, or the time is.
        """
        self.left -= amount
        if self.left < 0:
            raise LimitReached("it writes or does too much")
        if time.monotonic() > self.deadline:
            raise LimitReached("it takes too long")

    def weight(self, value: Any) -> int:
        """How much there is of a value: characters, and things in containers, at any depth."""
        total = 0
        stack: list[Any] = [value]
        while stack:
            item = stack.pop()
            total += len(item) if isinstance(item, str) else 1
            if isinstance(item, Mapping):
                stack += [part for pair in cast("Mapping[Any, Any]", item).items() for part in pair]
            elif isinstance(item, _CONTAINERS):
                stack += cast("Iterable[Any]", item)
            if total + len(stack) > _LARGEST:
                raise LimitReached("its values are too large")
        return total

    def counted(self, value: Any) -> Any:
        """The same value, paid for."""
        self.spend(self.weight(value))
        return value

    def written(self, value: Any) -> str:
        """A value as text, paid for."""
        if not isinstance(value, str):
            self.weight(value)
        text = str(value)
        self.spend(1 + len(text))
        return text

    def joined(self, values: Iterable[Any]) -> str:
        """Values as one text: the operator ``~``."""
        return "".join([self.written(value) for value in values])

    # --- what jinja2's sandbox asks ------------------------------------------------------------------------------

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Methods of Python's own types are allowed by name, all else as jinja2 has it."""
        allowed = _METHODS.get(cast("object", type(obj)))
        return attr in allowed if allowed is not None else super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """``str.format``, refused for wide paddings."""
        wrapped = super().wrap_str_format(value)
        if wrapped is not None and _WIDE_BRACES.search(value.__self__):
            raise LimitReached("it pads a text too far")
        return wrapped

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """The operators that can make something large."""
        if isinstance(left, Unresolved) or isinstance(right, Unresolved):
            return left if isinstance(left, Unresolved) else right
        if operator == "%" and isinstance(left, str):
            return self._format(left, *(right if isinstance(right, tuple) else (right,)))
        if operator == "**":
            if not all(isinstance(number, (int, float)) and abs(number) <= _MOST_DIGITS for number in (left, right)):
                raise LimitReached("it raises a number to a high power")
        elif operator == "*":
            if isinstance(left, int) and isinstance(right, int):
                if left.bit_length() + right.bit_length() > _MOST_DIGITS:
                    raise LimitReached("its numbers are too large")
            else:
                repeated, times = (left, right) if isinstance(right, int) else (right, left)
                self.spend(self.weight(repeated) * max(times, 0) if isinstance(times, int) else 1)
        elif operator == "+" and not isinstance(left, (int, float)):
            self.spend(self.weight(left) + self.weight(right))
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  (jinja2 hides its self behind a dunder)
        """Every call of a template."""
        self.spend(1 + self.weight(args) + self.weight(kwargs))
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str):
            name: str = obj.__name__
            if name == "join":
                return self._join(args[0], owner)
            if name == "replace":
                return self._replace(owner, *args)
        return super().call(context, obj, *args, **kwargs)

    def _paid(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A filter that pays for what it is given, since it may write or compare all of it."""

        @wraps(function)  # jinja2 marks by attributes which filters want the environment
        def paid(*args: Any, **kwargs: Any) -> Any:
            self.spend(1 + sum(self.weight(value) for value in args if isinstance(value, (str, *_CONTAINERS))))
            return function(*args, **kwargs)

        return paid

    # --- filters and functions -----------------------------------------------------------------------------------

    def _range(self, *bounds: int) -> range:
        numbers = range(*bounds)
        if len(numbers) > _LONGEST_RANGE:
            raise LimitReached("its ranges are too long")
        return numbers

    def bounded(self, iterable: Iterable[Any], written: int) -> list[Any]:
        """The items of a loop, whose every turn writes up to ``written`` characters of the template itself."""
        items = list(islice(iterable, self.left + 1))
        self.spend(len(items) * (1 + written))
        return items

    def _join(self, values: Iterable[Any], between: Any = "", attribute: str | None = None) -> str:
        items = self.bounded(values, len(str(between)))
        if attribute is not None:
            items = [self.getitem(item, attribute) for item in items]
        return str(between).join([self.written(item) for item in items])

    def _replace(self, text: Any, old: str, new: str, count: int = -1) -> str:
        text = self.written(text)
        old, new = str(old), str(new)
        self.spend((text.count(old) if old else len(text) + 1) * len(new))
        return text.replace(old, new, count)

    def _format(self, text: Any, *values: Any) -> str:
        if _WIDE_PERCENT.search(str(text)):
            raise LimitReached("it pads a text too far")
        return self.written(
            str(text) % tuple(self.written(v) if not isinstance(v, (int, float)) else v for v in values)
        )

    def _indent(self, text: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:  # noqa: FBT001, FBT002  (jinja2's signature)
        by = width if isinstance(width, str) else " " * min(width, 100)
        lines = str(text).splitlines()
        self.spend(len(lines) * len(by))
        return "\n".join(by + line if (at or first) and (line or blank) else line for at, line in enumerate(lines))


def _itself(value: Any) -> Any:
    return value


def _round(value: float, precision: int = 0, _method: str = "common") -> float:
    return round(value, min(max(precision, 0), 20))


def _to_json(value: Any, *_options: Any, **_named: Any) -> str:
    return json.dumps(value, default=str)
