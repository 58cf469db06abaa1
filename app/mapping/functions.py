"""The named functions of mappings. Each entry of FUNCTIONS makes, from a rule's scope and its arguments, a step `(value, row) -> value`.

An argument's annotation says what it is: `str` a name or text, `int` a whole number, `Given` an expression read from each record.
A step sees no empty value, but for those in ON_NOTHING. To add a function: write it here and give it its row in the table.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime as Datetime
from functools import lru_cache
from html import escape
from zoneinfo import ZoneInfo

from app.fhir import ucum as units
from app.fhir.json import Malformed
from app.fhir.json import number as decimal
from app.mapping.chinese import birth, card, check
from app.mapping.document import Mistake
from app.mapping.regex import compiled
from app.mapping.reject import Reject

Given = Callable
Step = Callable
PARTS = {"yyyy": r"(?P<year>\d{4})", "MM": r"(?P<month>\d{2})", "dd": r"(?P<day>\d{2})", "HH": r"(?P<hour>\d{2})", "mm": r"(?P<minute>\d{2})",
         "ss": r"(?P<second>\d{2})", "M": r"(?P<month>\d{1,2})", "d": r"(?P<day>\d{1,2})", "H": r"(?P<hour>\d{1,2})"}
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
NARROW = {0x3000: " ", **{sign + 0xfee0: chr(sign) for sign in range(0x21, 0x7f)}}
"""Full-width sign -> the one of ASCII."""
WIDEST = 1_000
"""Characters up to which a value is filled."""
KEEP, REJECT, TEXT = "keep", "reject", "text"


def required(scope) -> Step:
    """Rejects the record when there is no value."""
    def step(value, row):
        if value is None:
            raise Reject("required", "a value is required here")
        return value
    return step


def default(scope, text: str) -> Step:
    """`text` where there is no value."""
    return lambda value, row: text if value is None else value


def trim(scope) -> Step:
    """Without outer spaces, the ideographic one included."""
    return lambda value, row: value.strip()


def squeeze(scope) -> Step:
    """Without spaces beside Chinese characters (张　三 is 张三), and with one where there are several, outer ones left out."""
    return lambda value, row: re.sub(r"(?<=[\u3400-\u9fff\U00020000-\U0003ffff]) | (?=[\u3400-\u9fff\U00020000-\U0003ffff])", "", " ".join(value.split())) or None


def narrow(scope) -> Step:
    """Full-width letters, digits and signs as those of ASCII (２．５ is 2.5); Chinese text and its own signs stay."""
    return lambda value, row: value.translate(NARROW)


def upper(scope) -> Step:
    """In capital letters."""
    return lambda value, row: value.upper()


def pad(scope, width: int) -> Step:
    """With leading zeros up to `width` characters."""
    if width > WIDEST:
        raise Mistake(scope.place, f"pad fills up to at most {WIDEST} characters")
    return lambda value, row: value.zfill(width)


def prefix(scope, text: str) -> Step:
    """`text` before the value."""
    return lambda value, row: text + value


def split(scope, separator: str, part: int) -> Step:
    """The part-th piece (from 1) between separators; nothing where there are fewer."""
    if not separator or part < 1:
        raise Mistake(scope.place, "split takes a separator of one character or more, and the number of a piece, from 1")

    def step(value, row):
        pieces = value.split(separator)
        return pieces[part - 1] if part <= len(pieces) else None
    return step


def extract(scope, pattern: str) -> Step:
    """The first group of a regular expression (the whole match without one); nothing where it does not match."""
    found = compiled(scope.place, pattern)

    def step(value, row):
        match = found.search(value)
        return match and (match[1] if found.groups else match[0])
    return step


def concat(scope, *values: Given, separator: str = "") -> Step:
    """The values that are there, joined. It stands at the start of an expression."""
    return lambda _, row: separator.join(text for value in values if (text := value(row)) is not None) or None


def number(scope, mark: str = ".") -> Step:
    """A decimal number, with an exponent too, its text kept (72.50 stays 72.50, 1.0E-4 as it is). `mark` is the decimal mark of the source: `number(',')`."""
    def step(value, row):
        if mark != ".":
            value = value.translate({ord("."): mark, ord(mark): "."})
        if not NUMBER.fullmatch(value):
            raise Reject("bad-number", "not a decimal number")
        try:
            return decimal(value)
        except Malformed:
            raise Reject("bad-number", "a number beyond what a decimal can be") from None
    return step


def integer(scope) -> Step:
    """A whole number."""
    def step(value, row):
        if not re.fullmatch(r"-?\d{1,9}", value):
            raise Reject("bad-number", "not a whole number")
        return int(value)
    return step


def bool(scope, true: str, false: str) -> Step:  # noqa: A001 - its name in mappings
    """True for the one text, false for the other; anything else rejects."""
    def step(value, row):
        if value not in (true, false):
            raise Reject("bad-value", f"neither '{true}' nor '{false}'")
        return value == true
    return step


def date(scope, *forms: str) -> Step:
    """A FHIR date, from text of the first form that fits, such as 'yyyyMMdd' or 'yyyy/M/d' ('yyyy-MM-dd' where none is named)."""
    read = _forms(scope, forms or ("yyyy-MM-dd",))
    return lambda value, row: read(value)[0].date().isoformat()


def datetime(scope, *forms: str) -> Step:
    """A FHIR dateTime in the source's zone, from text of the first form that fits, such as 'yyyyMMddHHmmss'; a date alone by a form without hours."""
    read, zone = _forms(scope, forms or ("yyyy-MM-dd HH:mm:ss",)), scope.zone

    def step(value, row):
        moment, timed = read(value)
        return moment.isoformat() + _offset(zone, moment) if timed else moment.date().isoformat()
    return step


def instant(scope, *forms: str) -> Step:
    """A FHIR instant in the source's zone: as datetime, by forms with hours only."""
    if not all("H" in form for form in forms):
        raise Mistake(scope.place, "an instant has a time of day; a form of it has HH")
    return datetime(scope, *forms)


def quantity(scope, unit: str, code: str = "", mark: str = ".") -> Step:
    """A Quantity in UCUM: `unit` is what people read, `code` the UCUM code (the same where it is left out), `mark` the decimal mark of the source."""
    if not units.is_valid(code or unit):
        raise Mistake(scope.place, f"'{code or unit}' is no unit of UCUM; its code is the second argument: quantity('次/分', '/min')")
    step = number(scope, mark)
    rest = {"unit": unit, "system": units.URL, "code": code or unit}
    return lambda value, row: {"value": step(value, row), **rest}


def ucum(scope) -> Step:
    """A unit's code as UCUM has it (case counts); nothing for what is no unit there."""
    return lambda value, row: value if units.is_valid(value) else None


def code(scope, table: str, unmapped: str = REJECT) -> Step:
    """The target code of a code table."""
    codes = {source: row.target_code for source, row in scope.table(table).by_code.items() if row.target_code}
    _policy(scope, unmapped, {REJECT, KEEP})

    def step(value, row):
        return codes.get(value) or _unmapped(row, table, unmapped, value, None)
    return step


def coding(scope, table: str, display: Given | None = None, unmapped: str = KEEP) -> Step:
    """The target Coding of a code table; in a list the source's Coding stands beside it. An unmapped code is kept as the source's Coding,
    rejected, or (`text`) left out."""
    source = scope.table(table)
    _policy(scope, unmapped, {REJECT, KEEP, TEXT})

    def own(value, row, name):
        return {"system": source.system, "code": value, **({"display": name} if name else {})}

    def step(value, row):
        concept, name = source.by_code.get(value), display(row) if display else None
        if concept is None or not concept.target_code:
            found = _unmapped(row, table, unmapped, value, name)
            return own(found, row, name or (concept and concept.source_display)) if found else None
        target = {"system": concept.target_system, "code": concept.target_code}
        if concept.target_display:
            target["display"] = concept.target_display
        return [target, own(value, row, name or concept.source_display)] if scope.many else target
    return step


def ref(scope, resource: str, *key: Given) -> Step:
    """A Reference to a resource of this mapping (its own key where no values are given) or, as `mapping.resource`, of another one of the site,
    by the values of its business key. The record is held until that resource is there."""
    return scope.reference(resource, key)


def lookup(scope, resource: str, system: str, missing: str = "hold") -> Step:
    """A Reference to the one resource of that type and of the site's organisation that has the value as an identifier of that system. Where there is
    none the record is held; with `missing=logical` the identifier alone stands in the Reference."""
    _policy(scope, missing, {"hold", "logical"})
    return scope.lookup(resource, system, missing)


def idcard_birth(scope) -> Step:
    """The birth date in an identity card's number (GB 11643-1999); nothing where there is none."""
    return lambda value, row: birth(value)


def idcard_sex(scope) -> Step:
    """The administrative gender in an identity card's number: odd male, even female; nothing where the number is wrong."""
    return lambda value, row: None if check(value) else ("male" if int(card(value)[16]) % 2 else "female")


def check_idcard(scope, otherwise: str = REJECT) -> Step:
    """An identity card's number in its normal form. A wrong one rejects; with `warn` it is left out, and counted."""
    _policy(scope, otherwise, {REJECT, "warn"})

    def step(value, row):
        wrong = check(value)
        if not wrong:
            return card(value)
        if otherwise == REJECT:
            raise Reject("bad-identifier", wrong)
        row.warn("bad-identifier")
    return step


def div(scope) -> Step:
    """XHTML of a narrative: the text as one paragraph, its lines kept."""
    return lambda value, row: f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{"<br/>".join(map(escape, value.splitlines()))}</p></div>'


def mask(scope, keep: int) -> Step:
    """All but the last `keep` characters as `*`."""
    return lambda value, row: "*" * max(0, len(value) - keep) + value[-keep:] if keep else "*" * len(value)


FUNCTIONS: dict[str, Callable[..., Step]] = {
    "required": required, "default": default, "trim": trim, "squeeze": squeeze, "upper": upper, "narrow": narrow, "pad": pad, "prefix": prefix, "split": split, "extract": extract,
    "concat": concat, "number": number, "integer": integer, "bool": bool, "date": date, "datetime": datetime, "instant": instant,
    "quantity": quantity, "ucum": ucum, "code": code, "coding": coding, "ref": ref, "lookup": lookup, "idcard_birth": idcard_birth, "idcard_sex": idcard_sex,
    "check_idcard": check_idcard, "div": div, "mask": mask,
}
GIVES = {"number": "decimal", "integer": "integer", "bool": "boolean", "date": "date", "datetime": "dateTime", "instant": "instant", "quantity": "Quantity",
         "coding": "Coding", "ref": "Reference", "lookup": "Reference", "idcard_birth": "date", **dict.fromkeys(("concat", "code", "idcard_sex", "ucum"), "string")}
"""Function -> the FHIR type of what it gives, text as `string`; of the others it is the type of what they are given."""
KEEPS = {"required", "default"}
"""Functions that take what is no text, too."""
ON_NOTHING = {"required", "default", "concat", "ref"}
"""Functions that also see an empty value."""
SOURCES = {"concat", "ref"}
"""Functions that start an expression: they read the record through their arguments."""


def _policy(scope, word: str, known: set[str]) -> None:
    if word not in known:
        raise Mistake(scope.place, f"'{word}' is none of {', '.join(sorted(known))}")


def _unmapped(row, table: str, policy: str, value: str, name: str | None) -> str | None:
    row.unmapped.append((table, value, name or ""))
    if policy == REJECT:
        raise Reject("unmapped-code", f"the code table {table} does not hold this code")
    return value if policy == KEEP else None




def _forms(scope, forms: tuple[str, ...]) -> Callable[[str], tuple[Datetime, bool]]:
    """Reads text of one of the forms: the moment, and whether its form has a time of day."""
    known = [(_form(scope, form), "H" in form) for form in forms]
    message = f"not a date of the form {' or '.join(forms)}"

    @lru_cache(maxsize=4096)
    def read(value: str) -> tuple[Datetime, bool]:
        for match, timed in known:
            if found := match(value):
                try:
                    return Datetime(**{name: int(digits) for name, digits in found.groupdict().items()}), timed
                except ValueError:
                    continue
        raise Reject("bad-date", message)
    return read


def _form(scope, form: str) -> Callable[[str], re.Match | None]:
    pattern, rest = "", form
    while rest:
        part = next((part for part in PARTS if rest.startswith(part)), None)
        pattern += PARTS[part] if part else re.escape(rest[0])
        rest = rest[len(part or rest[0]):]
    if "<year>" not in pattern or pattern.count("<day>") != 1 or "<month>" not in pattern:
        raise Mistake(scope.place, f"'{form}' is no form of a date; it is made of {' '.join(PARTS)} and signs")
    return re.compile(pattern, re.ASCII).fullmatch


def _offset(zone: ZoneInfo, moment: Datetime) -> str:
    minutes = int(zone.utcoffset(moment).total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"

