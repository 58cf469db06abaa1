"""The parameters of a search as a Query. https://hl7.org/fhir/R4/search.html"""
from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qsl

from app import errors
from app.search import filter, include, index, parameters
from app.search.context import Context
from app.search.criteria import Bounds, condition
from app.search.include import Include
from app.search.parameters import Param
from app.search.query import And, Back, Clause, Compare, Has, Key, Link, Not, Or, Query, Stamp, Test, both, either
from app.search.types import date
from app.search.types.text import split

__all__ = ["Context", "Include", "Search", "compartment", "pairs", "parse"]
MOST_PAIRS = 200
"""Parameters of one request."""
LONGEST, LONGEST_NAME = 250_000, 1_000
"""Characters of all names and values together, and of one name."""
MOST_KEYS = 8
"""Keys of an order."""
MOST_WITHIN = 20
"""Texts that are looked for within others, or at their end: no index leads to them."""


class Search(NamedTuple):
    """A search as understood.

    includes: directives of both directions; count: entries of a page, None where not said; total: `none`, `estimate`, `accurate` or empty
    summary: `true`, `text`, `data`, `count`, `false` or empty; elements: names to keep; understood: the pairs for the self link;
    ignored: names that were not understood and are not an error, because the request is lenient; explain: the plan is asked for too
    """

    query: Query
    includes: tuple[Include, ...] = ()
    count: int | None = None
    total: str = ""
    summary: str = ""
    elements: tuple[str, ...] = ()
    understood: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
    explain: bool = False


def pairs(text: str) -> list[tuple[str, str]]:
    """The (name, value) pairs of a query string, percent-decoded. Errors: Invalid where they are not UTF-8; TooCostly for too many."""
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_PAIRS)
    except UnicodeDecodeError:
        raise errors.Invalid("The parameters are not UTF-8.") from None
    except ValueError:
        raise errors.TooCostly(f"More than {MOST_PAIRS} parameters.") from None


def parse(types: tuple[str, ...], pairs: list[tuple[str, str]], context: Context) -> Search:
    """The search that the pairs ask for among resources of `types` (none: of any type).

    Errors, each with the parameter's name as expression: Unsupported for a name, modifier or prefix that is not known (a lenient request
    ignores the parameter), Invalid for a bad value, TooCostly for one that asks too much.
    """
    if len(pairs) > MOST_PAIRS:
        raise errors.TooCostly(f"{len(pairs)} parameters; {MOST_PAIRS} is the most.")
    if sum(len(name) + len(value) for name, value in pairs) > LONGEST or any(len(name) > LONGEST_NAME for name, _ in pairs):
        raise errors.TooCostly(f"The parameters have more than {LONGEST} characters, or a name more than {LONGEST_NAME}.")
    reading = _Reading(_types(types, pairs), context)
    for name, value in pairs:
        if name != "_type":
            reading.read(name, value)
        else:
            reading.understood.append((name, value))
    return reading.search()


def compartment(name: str, id: str, types: tuple[str, ...]) -> Clause:
    """Entries of `types` that belong to the compartment of `name/id`: those whose parameters of the compartment's definition name it.

    Errors: Invalid where none of the types belongs to that compartment.
    """
    members = parameters.members(name)
    found = [_member(type, code, name, id) for type in types or members for code in members.get(type, ())]
    if not found:
        raise errors.Invalid(f"{', '.join(types)} is no part of the {name} compartment.")
    return either(*found)


def _member(type: str, code: str, name: str, id: str) -> Clause:
    if code == "{def}":
        return Stamp((Compare("type", "eq", type), Compare("id", "eq", id)))
    return Has((Test(f"{type}.{code}", (Compare("code", "eq", f"{name}/{id}"),)),))


def _types(types: tuple[str, ...], pairs) -> tuple[str, ...]:
    """The types searched: those of the address, or of `_type` in a search of the whole system."""
    named = [value for name, value in pairs if name == "_type"]
    if not named:
        return tuple(types)
    if types:
        raise errors.Unsupported("_type is for searches of the whole system.", expression="_type")
    wanted = [t for value in named for t in value.split(",")]
    for type in wanted:
        if not parameters.is_type(type):
            raise errors.Invalid(f"{type!r} is no resource type.", expression="_type")
    return tuple(dict.fromkeys(wanted))


class _Reading:
    """One search in the reading: what its pairs have said so far."""

    def __init__(self, types: tuple[str, ...], context: Context):
        self.types, self.context = types, context
        self.bounds = Bounds()
        self.clauses: list[Clause] = []
        self.dates: list[tuple[Param, str]] = []
        self.sort: tuple[Key, ...] | None = None
        self.includes: list[Include] = []
        self.said: dict[str, str] = {}
        self.count: int | None = None
        self.elements: tuple[str, ...] = ()
        self.understood: list[tuple[str, str]] = []
        self.ignored: list[str] = []

    def read(self, name: str, value: str) -> None:
        try:
            if "\0" in name or "\0" in value:
                raise errors.Invalid("A parameter holds the character NUL.")
            self._read(name, value)
        except errors.Unsupported as failure:
            if self.context.strict:
                raise _named(failure, name)
            self.ignored.append(name)
        except errors.Invalid as failure:
            raise _named(failure, name)
        else:
            self.understood.append((name, value))

    def _read(self, name: str, value: str) -> None:
        code, _, modifier = name.partition(":")
        if name.endswith(":") or ":." in name:
            raise errors.Unsupported(f"{name!r} names no modifier after its colon.")
        if code in RESULTS:
            RESULTS[code](self, modifier, value)
        elif name not in PASSED:
            self._criterion(name, value)

    def _criterion(self, name: str, value: str) -> None:
        clause = (filter.clause(value, self.types, self.context, self.bounds) if name == "_filter"
                  else condition(self.types, name, value, self.context, self.bounds))
        self.clauses.append(clause)
        if len(self.types) == 1 and (param := parameters.look(self.types[0], name, self.context)) is not None and param.type == "date" and param.code not in parameters.STAMPED:
            self.dates.append((param, value))

    def _limits(self) -> tuple[Key, Clause] | None:
        """Where one date is asked for, once or several times with one value each, that bound it: its order, newest first, and the bounds
        as one test. An entry with several dates may meet each bound by another: then from its first to its last they are met together."""
        limits = [_bounds(*date, self.context) for date in self.dates]
        if len({param for param, _ in self.dates}) != 1 or None in limits:
            return None
        name, compares = self.dates[0][0].name, tuple(dict.fromkeys(c for each in limits for c in each))
        bound = Has((Test(name, compares),))
        hull = Has((Test(name + index.HULL, tuple(dict.fromkeys(c._replace(column="high" if c.how in ("gt", "ge") else "low") for c in compares))),))
        return Key(name, "low", True, compares), bound if len(limits) == 1 else either(bound, hull)

    def search(self) -> Search:
        limits = self._limits()
        sort = self.sort if self.sort is not None else (limits[0],) if limits else ()
        where = both(*dict.fromkeys([*self.clauses, *(limits[1:] if limits else ())]))
        if _within(where) > MOST_WITHIN:
            raise errors.TooCostly(f"More than {MOST_WITHIN} texts are looked for within others (:contains, co, ew).")
        return Search(Query(self.types, where, sort), tuple(dict.fromkeys(self.includes)), self.count, self.said.get("_total", ""), self.said.get("_summary", ""),
                      self.elements, tuple(self.understood), tuple(self.ignored), self.said.get("_explain") == "true")

    # parameters that shape the answer

    def _once(self, name: str, modifier: str) -> None:
        _unmodified(name, modifier)
        if any(n == name for n, _ in self.understood):
            raise errors.Invalid(f"{name} is given twice.")

    def _sort(self, modifier: str, value: str) -> None:
        self._once("_sort", modifier)
        codes = value.split(",")
        if "" in codes:
            raise errors.Invalid("A key of the order is empty.")
        if len(codes) > MOST_KEYS:
            raise errors.TooCostly(f"{len(codes)} keys of an order; {MOST_KEYS} is the most.")
        self.sort = tuple(_key(self.types, code, self.context) for code in codes)

    def _count(self, modifier: str, value: str) -> None:
        self._once("_count", modifier)
        if not (value.isascii() and value.isdigit()) or len(value) > 9:
            raise errors.Invalid(f"_count is a whole number from 0, not {value!r}.")
        self.count = int(value)

    def _choice(name: str, choices: tuple[str, ...]):
        def read(self, modifier: str, value: str) -> None:
            self._once(name, modifier)
            if value not in choices:
                raise errors.Invalid(f"{name} is one of {', '.join(choices)}, not {value!r}.")
            self.said[name] = value
        return read

    def _elements(self, modifier: str, value: str) -> None:
        _unmodified("_elements", modifier)
        names = tuple(n.strip() for n in value.split(","))
        for name in names:
            if not name or not parameters.has_element(self.types, name):
                raise errors.Unsupported(f"There is no element {name!r}.")
        self.elements = tuple(dict.fromkeys(self.elements + names))

    def _include(name: str, reverse: bool):
        def read(self, modifier: str, value: str) -> None:
            if modifier not in ("", "iterate"):
                raise errors.Unsupported(f"{name} has no modifier :{modifier}; it has :iterate.")
            self.includes += [include.parse(text, self.context, reverse=reverse, iterate=bool(modifier)) for text in value.split(",")]
        return read

    def _only(name: str, served: str, reason: str):
        def read(self, modifier: str, value: str) -> None:
            self._once(name, modifier)
            if value != served:
                raise errors.Unsupported(f"{name} is served as {served} alone: {reason}.")
        return read

    RESULTS = {"_sort": _sort, "_count": _count, "_total": _choice("_total", ("none", "estimate", "accurate")),
               "_summary": _choice("_summary", ("true", "text", "data", "count", "false")), "_elements": _elements, "_explain": _choice("_explain", ("true", "false")),
               "_include": _include("_include", False), "_revinclude": _include("_revinclude", True),
               "_contained": _only("_contained", "false", "contained resources are not found"),
               "_containedType": _only("_containedType", "container", "contained resources are not found by themselves")}


def _within(clause: Clause) -> int:
    """How many texts are looked for within others, words apart: they have an index."""
    if isinstance(clause, (And, Or)):
        return sum(map(_within, clause.parts))
    if isinstance(clause, Not):
        return _within(clause.part)
    if isinstance(clause, Has):
        return sum(compare.how in ("contains", "suffix") and compare.column != "words" for test in clause.tests for compare in test.compares)
    return _within(clause.clause) if isinstance(clause, (Link, Back)) else 0


RESULTS = _Reading.RESULTS
"""Parameters that shape the answer -> what reads them."""
PASSED = ("_format", "_pretty", "_type")
"""Parameters that others read."""


def _bounds(param: Param, value: str, context: Context) -> tuple[Compare, ...] | None:
    values = split(value, ",")
    return date.limit(param, values[0], context) if len(values) == 1 else None


def _unmodified(name: str, modifier: str) -> None:
    if modifier:
        raise errors.Unsupported(f"{name} has no modifiers.")


def _named(failure: errors.Invalid, name: str) -> errors.Invalid:
    """The failure with the parameter's name as its expression."""
    return failure if all(i.expression for i in failure.issues) else failure.at(name)


def _key(types: tuple[str, ...], text: str, context: Context) -> Key:
    """A sort key: `name`, or `-name` for the last first. Errors: Unsupported where the parameter has no order."""
    code, descending = text.removeprefix("-"), text.startswith("-")
    if code in COLUMNS:
        return Key("", COLUMNS[code], descending)
    if len(types) != 1:
        raise errors.Unsupported(f"A search of several types is sorted by {' or '.join(COLUMNS)}, not by {code!r}.")
    param = parameters.find(types[0], code, context)
    if param.type not in ORDERS or not param.kinds:
        raise errors.Unsupported(f"{code} is a {param.type} parameter, which has no order.")
    column, compares = ORDERS[param.type]
    first, *also = [one.name for one in param.of or (param,)]
    return Key(first, column, descending, compares, tuple(also))


COLUMNS = {"_id": "id", "_lastUpdated": "updated"}
ORDERS = {"string": ("text", (Compare("code", "some"),)), "date": ("low", ()), "number": ("low", ()), "quantity": ("low", ()),
          "token": ("code", ()), "reference": ("code", ()), "uri": ("code", ())}
"""Parameter type -> the column that orders it, and the rows that count: of a string, not the later words of a name."""
