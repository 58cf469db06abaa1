"""One criterion of a search as a clause: a parameter with its modifier, chains, reverse chains.

https://hl7.org/fhir/R4/search.html#chaining and #has
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from app import errors
from app.search import parameters
from app.search import types as kinds
from app.search.context import Context
from app.search.parameters import Param
from app.search.query import NONE, And, Back, Clause, Has, Link, Not, Or, both, either, has
from app.search.types import special
from app.search.types.text import split

DEEPEST = 6
"""Hops of a chain."""
INSIDE = 3
"""Hops of a chain, the first ones, that also lead to contained resources."""
WIDEST = 2_000
"""Hops that all chains of a search come to, where references may point to several types."""
MOST = 20_000
"""Values that all parameters of a search come to, each counted for every type that it is looked for in."""


class Bounds:
    """How deep a chain is, how many hops and values a search has come to."""

    def __init__(self):
        self.depth = self.hops = self.values = 0

    def __enter__(self):
        self.depth += 1
        self.hops += 1
        if self.depth > DEEPEST:
            raise errors.TooCostly(f"A chain of more than {DEEPEST} hops.")
        if self.hops > WIDEST:
            raise errors.TooCostly(f"The references of these chains may lead to more than {WIDEST} things; say which types are meant (subject:Patient.name).")

    def __exit__(self, *failure):
        self.depth -= 1

    def spend(self, values: int) -> None:
        self.values += values
        if self.values > MOST:
            raise errors.TooCostly(f"The parameters come to more than {MOST} values, each counted for every type that it is looked for in.")


def condition(types: tuple[str, ...], name: str, value: str, context: Context, bounds: Bounds | None = None) -> Clause:
    """The clause of one criterion: a parameter with its modifier, a chain, or a reverse chain. Errors: as parse."""
    bounds = bounds or Bounds()
    if name.startswith("_has:"):
        _, type, code, rest = has_parts(name)
        return back(types, type, code, context, lambda source: condition((source,), rest, value, context, bounds), bounds)
    head, dot, rest = name.partition(".")
    code, _, modifier = head.partition(":")
    if dot:
        return link(types, code, modifier, rest, context, lambda target: condition((target,), rest, value, context, bounds), bounds)
    bounds.spend((value.count(",") + 1) * (1 if code in special.CLAUSES else len(types or parameters.TYPES)))
    if code in special.CLAUSES:
        return special.clause(code, modifier, _values(value, modifier), context)
    refuse(code)
    tests = [kinds.test(parameters.find(type, code, context), modifier, value, context) for type in types or common(code, context)]
    return both(*tests) if isinstance(tests[0], Not) else either(*tests)  # rows of one type say nothing of another


def refuse(code: str) -> None:
    """Errors: Unsupported for what is no criterion of a resource."""
    if code in special.REFUSED:
        raise errors.Unsupported(f"{code} ({special.REFUSED[code]}) is not served.")
    if code == "_filter":
        raise errors.Unsupported("_filter stands alone: it has no modifiers and ends no chain; a filter has chains of its own.")


def _values(value: str, modifier: str) -> list[str]:
    values = split(value, ",")
    if "" in values:
        raise errors.Invalid("A value is empty.")
    if len(values) > kinds.MOST_VALUES:
        raise errors.TooCostly(f"{len(values)} values in one list; {kinds.MOST_VALUES} is the most.")
    if modifier == "missing" and values not in (["true"], ["false"]):
        raise errors.Invalid(":missing is true or false.")
    return values


def common(code: str, context: Context) -> tuple[str, ...]:
    """All types, for a parameter that all have, one of the store's own perhaps. Errors: Unsupported for any other."""
    if code not in parameters.COMMON:
        types = tuple(type for type, own in context.own.items() if code in own)
        if len(types) >= len(parameters.TYPES) - 1:  # the log has none
            return types
        raise errors.Unsupported(f"A search of all types takes {', '.join(sorted(parameters.COMMON))}; {code!r} needs a type (_type=...).")
    return tuple(t for t in parameters.TYPES if parameters.look(t, code))


def link(types: tuple[str, ...], code: str, type: str, rest: str, context: Context, make: Callable[[str], Clause], bounds: Bounds) -> Clause:
    """A chain along the parameter `code` of any of the types, to a resource of `type` (empty: of any that it may point to) for which the
    clause holds that `make` gives for its type; `rest` is what is asked of it, as written. Errors: Unsupported where no type has that."""
    return either(*(_link(parameters.find(source, code, context), type, rest, context, make, bounds) for source in types or common(code, context)))


def _link(param: Param, type: str, rest: str, context: Context, make: Callable[[str], Clause], bounds: Bounds) -> Clause:
    if param.type != "reference":
        raise errors.Unsupported(f"{param.code} is a {param.type} parameter; only references are chained.")
    _leads(param)
    if type and type not in param.targets:
        raise errors.Invalid(f"{param.code} does not point to {type}, but to {', '.join(param.targets)}.")
    found, refused = [], None
    several, first = not type and len(param.targets) > 1, rest.partition(":")[0].partition(".")[0]
    for target in (type,) if type else param.targets:
        if several and first != "_has" and parameters.look(target, first, context) is None:
            continue
        try:
            with bounds:
                clause = make(target)
            found.append(Link(param.name, (target,), clause))
            if bounds.depth < INSIDE and not param.name.startswith("AuditEvent."):
                found.append(contained(clause, f"{param.name}>", target))
        except errors.Unsupported as failure:
            refused = refused or failure
    if not found:
        raise errors.Unsupported(f"None of the types that {param.code} points to has {first!r}.") if several else refused
    return either(*found)


def contained(clause: Clause, way: str, type: str) -> Clause:
    """What is asked of a resource, asked of one that is contained in what refers to it: see `index.rows`. https://hl7.org/fhir/R4/search.html#contained"""
    if isinstance(clause, Has):
        return Has(tuple(t._replace(param=way + t.param) for t in clause.tests))
    if isinstance(clause, Link):
        return replace(clause, param=way + clause.param)
    if isinstance(clause, (And, Or)):
        return (both if isinstance(clause, And) else either)(*(contained(p, way, type) for p in clause.parts))
    if isinstance(clause, Not):
        return both(has(way + type), Not(contained(clause.part, way, type)))
    return NONE  # it has no address and no history, and nobody refers to it from outside


def _leads(param: Param) -> None:
    """Errors: Unsupported for a reference that does not lead to resources by their id."""
    if param.canonical:
        raise errors.Unsupported(f"{param.code} holds canonical urls, which are not chained.")
    if param.inner:
        raise errors.Unsupported(f"{param.code} finds resources inside of others, which are not chained.")


def has_parts(name: str) -> list[str]:
    """[`_has`, type, reference, criterion] of a reverse chain. Errors: Invalid."""
    parts = name.split(":", 3)
    if len(parts) < 4 or not parts[3]:
        raise errors.Invalid("_has is written _has:Type:reference:parameter.")
    return parts


def back(types: tuple[str, ...], type: str, code: str, context: Context, make: Callable[[str], Clause], bounds: Bounds) -> Clause:
    """A reverse chain: a resource of `type`, for which the clause holds that `make` gives, refers by `code` to this one."""
    if not parameters.is_type(type):
        raise errors.Invalid(f"{type!r} is no resource type.")
    param = parameters.find(type, code, context)
    if param.type != "reference":
        raise errors.Unsupported(f"{type}.{code} is a {param.type} parameter; _has takes a reference.")
    _leads(param)
    if types and not set(types).intersection(param.targets):
        raise errors.Invalid(f"{type}.{code} does not point to {', '.join(types)}, but to {', '.join(param.targets)}.")
    with bounds:
        return Back(param.name, type, make(type))
