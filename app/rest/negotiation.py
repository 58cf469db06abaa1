"""Which representation a client wants, and what it sent: Accept, _format, Content-Type, Accept-Encoding.

https://hl7.org/fhir/R4/http.html#mime-type and https://www.rfc-editor.org/rfc/rfc7231#section-5.3
"""
from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from app.errors import NotAcceptable, WrongMedia

FHIR = "application/fhir+json"
JSON = (FHIR, "application/json", "text/json", "application/json+fhir")
"""What a resource is sent as, the preferred one first; the last is the name it had before STU3."""
FORMATS = {"json": FHIR, **{media: media for media in JSON}}
PATCH = "application/json-patch+json"
FORM = "application/x-www-form-urlencoded"
VERSIONS = ("4.0", "4.0.1", "4")


class Media(NamedTuple):
    """One media type or range: `type` in lower case without parameters, its parameters, and its weight."""

    type: str
    parameters: dict[str, str]
    weight: float = 1.0

    def matches(self, type: str) -> int:
        """How closely this range names `type`: 3 exactly, 2 by `application/*`, 1 by `*/*`, 0 not."""
        if self.type == type:
            return 3
        if self.type == "*/*":
            return 1
        return 2 if self.type.endswith("/*") and type.startswith(self.type[:-1]) else 0

    @property
    def readable(self) -> bool:
        """Whether its charset and fhirVersion are those of this server."""
        charset = self.parameters.get("charset", "utf-8").lower()
        return charset in ("utf-8", "utf8", "us-ascii") and self.parameters.get("fhirversion", "4.0") in VERSIONS


def media(text: str) -> Media | None:
    """One media type with its parameters (`a/b; charset=utf-8; q=0.5`); None where it is none."""
    type, *rest = [part.strip() for part in _split(text, ";")]
    type = type.lower()
    if type.count("/") != 1 or not all(type.split("/")) or any(c in ' "\t' for c in type):
        return None
    pairs = (part.partition("=") for part in rest if part)
    parameters = {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
    weight = _weight(parameters.pop("q", "1"))
    return Media(type, parameters, weight)


def ranges(accept: str) -> list[Media]:
    """The media ranges of an Accept header, those that are none left out."""
    return [found for part in _split(accept, ",") if part.strip() and (found := media(part))]


@lru_cache(256)
def representation(accept: str | None, format: str | None) -> str:
    """The media type to answer in; `format` is the value of _format, which overrides Accept. Errors: NotAcceptable."""
    if format is not None:
        return _format(format)
    if accept is None or not accept.strip():
        return FHIR
    wanted = ranges(accept)
    best = max(((*_wanted(wanted, type), -place) for place, type in enumerate(JSON)), default=None)
    if best is None or best[0] <= 0:
        raise NotAcceptable(f"This server sends resources as {FHIR} (R4, UTF-8) and as nothing that {accept!r} accepts.")
    return JSON[-best[2]]


def _format(format: str) -> str:
    found = media(format.replace(" ", "+", 1) if "/" in format else f"{format}/x")
    name = "" if found is None else found.type.removesuffix("/x")
    if name not in FORMATS or not found.readable:
        raise NotAcceptable(f"_format={format} is not known here: this server sends JSON (`json`, `{FHIR}`, R4, UTF-8).", expression="_format")
    return FORMATS[name]


def _wanted(wanted: list[Media], type: str) -> tuple[float, int]:
    """Weight and closeness with which `type` is wanted: the closest range decides."""
    closest = max(((range.matches(type), range.weight) for range in wanted if range.readable and range.matches(type)), default=(0, 0.0))
    return closest[1], closest[0]


def native(accept: str | None, format: str | None) -> bool:
    """Whether a Binary goes out as its own content: unless a FHIR media type is asked for by name.

    https://hl7.org/fhir/R4/binary.html#rest
    """
    if format is not None:
        return False
    named = [range for range in ranges(accept or "") if range.weight > 0]
    best = max((range.weight for range in named), default=0)
    return not any(range.type in (FHIR, "application/json+fhir") for range in named if range.weight == best)


@lru_cache(256)
def content(header: str | None, *allowed: str) -> str:
    """The media type of a request's body, one of `allowed`. Errors: WrongMedia, also for another charset or FHIR version."""
    if header is None or not header.strip():
        raise WrongMedia(f"The body needs a Content-Type: {' or '.join(allowed)}.", headers=_accepts(allowed))
    found = media(header)
    if found is None or found.type not in allowed:
        raise WrongMedia(f"A body of type {header!r} is not read here; send {' or '.join(allowed)}.", headers=_accepts(allowed))
    if not found.readable:
        raise WrongMedia(f"The body is read as UTF-8 and R4 only, not as {header!r}.", headers=_accepts(allowed))
    return found.type


def _accepts(allowed: tuple[str, ...]) -> dict[str, str]:
    name = "Accept-Patch" if PATCH in allowed else "Accept-Post"
    return {name: ", ".join(allowed)}


@lru_cache(256)
def gzip_wanted(header: str | None) -> bool:
    """Whether an Accept-Encoding takes gzip."""
    codings = {name.strip().lower(): _weight(dict([p.strip().partition("=")[::2] for p in rest.split(";") if p]).get("q", "1"))
               for name, _, rest in (part.partition(";") for part in (header or "").split(","))}
    return codings.get("gzip", codings.get("*", 0)) > 0


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return min(max(weight, 0.0), 1.0) if weight == weight else 0.0


def _split(text: str, at: str) -> list[str]:
    """`text` split at a character, but not inside a quoted string."""
    if '"' not in text:
        return text.split(at)
    parts, quoted = [""], False
    for c in text:
        quoted ^= c == '"'
        if c == at and not quoted:
            parts.append("")
        else:
            parts[-1] += c
    return parts
