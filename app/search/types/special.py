"""Parameters that are tests on the entry itself, on lists, or not served. https://hl7.org/fhir/R4/search.html#all and #special"""
from __future__ import annotations

from app import errors
from app.search.context import Context
from app.search.query import ALL, NONE, Back, Clause, Compare, Not, Stamp, either
from app.search.types import date, reference
from app.search.types import range as ranges
from app.search.types.text import plain

REFUSED = {
    "_query": "named queries",
}
"""Parameters of the specification that are refused by name until they are built."""


def _id(modifier: str, values: list[str], context: Context) -> Clause:
    if modifier not in ("", "not"):
        raise errors.Unsupported(f"_id has no modifier :{modifier}; it has :missing and :not.")
    found = Stamp((Compare("id", "in", tuple(plain(v) for v in values)),)) if len(values) > 1 else Stamp((Compare("id", "eq", plain(values[0])),))
    return Not(found) if modifier else found


def _updated(modifier: str, values: list[str], context: Context) -> Clause:
    if modifier:
        raise errors.Unsupported(f"_lastUpdated has no modifier :{modifier}; it has :missing.")
    return either(*(Stamp(tuple(c._replace(column="updated") for c in compares)) for v in values for compares in ranges.ways(*date.sought(v, context))))


def _list(modifier: str, values: list[str], context: Context) -> Clause:
    """Resources that a List names as an item."""
    if modifier:
        raise errors.Unsupported("_list has no modifiers.")
    return either(*(Back("List.item", "List", Stamp((Compare("id", "eq", list_id(plain(v), context)),))) for v in values))


def listed(resource: dict, base: str) -> Clause:
    """The versions that a List names: of an item without a version, all. https://hl7.org/fhir/R4/http.html#history"""
    whole: dict[str, list[str]] = {}
    single: list[Clause] = []
    for item in resource.get("entry", ()):
        if match := reference.VERSIONED.fullmatch(reference.local(item["item"].get("reference", ""), base)):
            type, id, version = match.groups()
            if version is None:
                whole.setdefault(type, []).append(id)
            else:
                single.append(Stamp((Compare("type", "eq", type), Compare("id", "eq", id), Compare("version", "eq", int(version)))))
    return either(*single, *(Stamp((Compare("type", "eq", type), Compare("id", "in", tuple(ids)))) for type, ids in whole.items()))


def list_id(text: str, context: Context) -> str:
    """The id of the List that `id`, `List/id` or its url names. Errors: Invalid, Unsupported."""
    if text.startswith("$"):
        raise errors.Unsupported(f"_list={text} is not served: name a List by its id.")
    return reference.identity(text, "List", context)


CLAUSES = {"_id": _id, "_lastUpdated": _updated, "_list": _list}
"""Name -> (modifier, values as written, context) -> Clause."""
SUPPORTED = {"_id": (("missing", "not"), ()), "_lastUpdated": (("missing",), date.PREFIXES), "_list": ((), ())}
"""Name -> its modifiers and prefixes."""


def clause(code: str, modifier: str, values: list[str], context: Context) -> Clause:
    if modifier == "missing" and code != "_list":  # every entry has an id and a time
        return NONE if values == ["true"] else ALL
    return CLAUSES[code](modifier, values, context)
