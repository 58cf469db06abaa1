"""token parameters: codes, identifiers, booleans. https://hl7.org/fhir/R4/search.html#token

A row is (system, code) as written, with the display or text beside it. No system is the empty string.
"""
from __future__ import annotations

from app import errors
from app.fhir.bindings import Bound
from app.fhir.codesystem import spellings
from app.fhir.valueset import Codes
from app.search.context import Context
from app.search.query import Compare, Row, Test
from app.search.types.string import normal, sought
from app.search.types.text import plain, split

MODIFIERS = ("not", "text", "of-type", "in", "not-in", "above", "below")
PREFIXES = ()
WITHOUT_SYSTEM = frozenset(("boolean", "uri", "url", "oid", "uuid", "ContactPoint"))


def _coding(add, param: str, group: int, value: dict, context: Context) -> None:
    get = value.get
    display = get("display")
    add(Row(param, group, get("system") or "", get("code"), normal(display) if display else None))


def _concept(add, param: str, group: int, value: dict, context: Context) -> None:
    codings, text = value.get("coding"), value.get("text")
    if codings:
        for coding in codings:
            get = coding.get
            display = get("display")
            if display == text:
                text = None
            add(Row(param, group, get("system") or "", get("code"), normal(display) if display else None))
    if text or not codings:
        add(Row(param, group, None, None, normal(text) if text else None))


def _identifier(add, param: str, group: int, value: dict, context: Context) -> None:
    kind, number = value.get("type"), value.get("value")
    text = kind and kind.get("text")
    add(Row(param, group, value.get("system") or "", number, normal(text) if text else None))
    if kind and number:
        for coding in kind.get("coding", ()):
            add(Row(param + ":of-type", group, coding.get("system") or "", coding.get("code"), number))


def _code(add, param: str, group: int, value, context: Context) -> None:
    if value is not None:
        add(Row(param, group, "", value))


def _string(add, param: str, group: int, value, context: Context) -> None:
    """The specification has tokens on strings not heed case."""
    if value:
        add(Row(param, group, "", value.casefold(), normal(value)))


def _boolean(add, param: str, group: int, value, context: Context) -> None:
    if value is not None:
        add(Row(param, group, "", "true" if value else "false"))


def _contact(add, param: str, group: int, value: dict, context: Context) -> None:
    if value.get("value"):
        add(Row(param, group, "", value["value"]))


def _number(add, param: str, group: int, value, context: Context) -> None:
    if value is not None:
        add(Row(param, group, "", str(value)))


READERS = {"Coding": _coding, "CodeableConcept": _concept, "Identifier": _identifier, "ContactPoint": _contact,
           **dict.fromkeys(("code", "id", "uri", "url", "canonical", "oid", "uuid", "date", "dateTime", "instant"), _code),
           **dict.fromkeys(("string", "markdown"), _string), "boolean": _boolean,
           **dict.fromkeys(("integer", "positiveInt", "unsignedInt"), _number)}


def code_of(values: Bound):
    """The reader of a `code` element whose value set tells the system of each code."""
    def read(add, param: str, group: int, value, context: Context) -> None:
        if value is not None:
            add(Row(param, group, values.system(value) or "", value))
    return read


def ways(param, modifier: str, value: str, context: Context) -> list[tuple[Test, ...]]:
    """`code`, `system|code`, `|code`, `system|`; with `:text` a normal string search; with `:of-type` `system|code|value`; with `:in` a
    value set; with `:above` and `:below` the `system|code` that is subsumed, or that subsumes."""
    if modifier == "text":
        return [(Test(param.name, (Compare("text", "prefix", sought(plain(value))),)),)]
    if modifier == "in":
        return [(test,) for system, codes in context.terms.expand(_filled(plain(value))).items() for test in among(param, system, codes, context)]
    if modifier in ("above", "below"):
        return [(test,) for test in related(param, modifier, value, context)]
    parts = [plain(p) for p in split(value, "|")]
    if modifier == "of-type":
        if len(parts) != 3 or not all(parts):
            raise errors.Invalid(f"{value!r} is not system|code|value, all three given.")
        return [(Test(param.name + ":of-type", (Compare("code", "eq", parts[1]), Compare("system", "eq", parts[0]), Compare("text", "eq", parts[2]))),)]
    if len(parts) > 1 and param.kinds and WITHOUT_SYSTEM.issuperset(param.kinds):
        raise errors.Invalid(f"{param.code} has no systems: write the value without |.")
    if len(parts) > 2 or not any(parts):
        raise errors.Invalid(f"{value!r} is not code, system|code, |code or system|.")
    return [(Test(param.name, compares(parts, "string" in param.kinds)),)]


def compares(parts: list[str], folded: bool = False) -> tuple[Compare, ...]:
    """Of [code] or [system, code], each perhaps empty; `folded` also finds codes whose case does not count."""
    code = parts[-1]
    tests = []
    if code:
        other = code.casefold()
        tests.append(Compare("code", "in", (code, other)) if folded and other != code else Compare("code", "eq", code))
    if len(parts) == 2:
        tests.append(Compare("system", "eq", parts[0]))
    return tuple(tests)


def related(param, modifier: str, value: str, context: Context) -> list[Test]:
    """Of codes that stand above or below a code in its system, itself among them. Errors: Invalid for what is not known here."""
    parts = [plain(p) for p in split(value, "|")]
    if len(parts) != 2 or not all(parts):
        raise errors.Invalid(f"{value!r} is not system|code, both given.")
    system = context.terms.system(parts[0])
    concept = system.find(parts[1])
    if concept is None:
        raise errors.Invalid(system.refusal(parts[1]))
    return among(param, parts[0], Codes(getattr(system, modifier)(concept["code"])), context)


def among(param, system: str, codes: Codes, context: Context) -> list[Test]:
    """Of codes of a system that a set lists, or of all but those. A code that stands alone, and whose system no one says, is taken for one of this."""
    held = context.terms.code_system(system)
    listed = sorted(codes.listed if held is None or held.cased else {s for code in codes.listed for s in spellings(code)})
    ours = Compare("system", "in", (system, "")) if param.kinds == {"code"} else Compare("system", "eq", system)
    if not codes.but:
        return [Test(param.name, (Compare("code", "in", tuple(listed)), ours))] if listed else []
    between = zip([(), *((Compare("code", "gt", code),) for code in listed)], [*((Compare("code", "lt", code),) for code in listed), ()])
    return [Test(param.name, (*low, *high, ours)) for low, high in between] if listed else [Test(param.name, (Compare("code", "some"), ours))]


def _filled(text: str) -> str:
    if not text:
        raise errors.Invalid("A text to search for is empty.")
    return text
