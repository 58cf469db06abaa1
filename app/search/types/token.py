"""token parameters: codes, identifiers, booleans. https://hl7.org/fhir/R4/search.html#token

A row is (system, code) as written, with the display or text beside it. No system is the empty string.
"""
from __future__ import annotations

from app import errors
from app.search.context import Context
from app.search.query import Compare, Row, Test
from app.search.types.string import normal
from app.search.types.text import plain, split

MODIFIERS = ("not", "text", "of-type")
PREFIXES = ()
LATER = ("in", "not-in", "above", "below")
"""Modifiers of the specification that need value sets or code systems, and are refused until those are served."""
WITHOUT_SYSTEM = frozenset(("boolean", "uri", "url", "oid", "uuid", "ContactPoint", "System.Boolean"))


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
           **dict.fromkeys(("string", "markdown"), _string), **dict.fromkeys(("boolean", "System.Boolean"), _boolean),
           **dict.fromkeys(("integer", "positiveInt", "unsignedInt"), _number)}


def code_of(systems: dict[str, str]):
    """The reader of a `code` element whose required value set tells the system of each code."""
    def read(add, param: str, group: int, value, context: Context) -> None:
        if value is not None:
            add(Row(param, group, systems.get(value, ""), value))
    return read


def ways(param, modifier: str, value: str, context: Context) -> list[tuple[Test, ...]]:
    """`code`, `system|code`, `|code`, `system|`; with `:text` a normal string search; with `:of-type` `system|code|value`."""
    if modifier == "text":
        return [(Test(param.name, (Compare("text", "prefix", normal(_filled(plain(value)))),)),)]
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


def _filled(text: str) -> str:
    if not text:
        raise errors.Invalid("A text to search for is empty.")
    return text
