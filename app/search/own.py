"""The search parameters of a store's own: SearchParameter resources in force, what is wrong with one, and the recipe that notes them for all processes.

http://hl7.org/fhir/R4/searchparameter.html
"""
from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import NamedTuple

from app.errors import Issue, Unprocessable
from app.fhir import definitions
from app.fhir.path import BadExpression, compile
from app.search import parameters, types
from app.search.param import NOTHING, Defined, Own
from app.search.paths import Unfit

CODE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
"""What can stand in a search url, and begins like no parameter of all searches."""
LONGEST = 4_000
"""Characters of an expression."""
MOST = 500
"""Parameters of a store's own."""
LOG = "AuditEvent"


class Noted(NamedTuple):
    """A definition in force. since: microseconds at which it came to be so; ready: all resources have its rows; parts: url -> (code, type, targets) of
    a composite's parts that are of the store's own, as they were then."""

    id: str
    since: int
    ready: bool
    code: str
    type: str
    url: str
    expression: str
    base: tuple[str, ...]
    targets: tuple[str, ...] = ()
    components: tuple[tuple[str, str], ...] = ()
    parts: tuple[tuple[str, str, str, tuple[str, ...]], ...] = ()

    @property
    def parameter(self) -> definitions.Parameter:
        return definitions.Parameter(self.code, self.type, self.url, self.expression, self.targets, self.components, self.base)

    @property
    def means(self) -> tuple:
        """All that its rows depend on."""
        return self[3:]

    def look(self, url: str) -> definitions.Parameter | None:
        """The definition of a part."""
        own = {part[0]: definitions.Parameter(part[1], part[2], part[0], "", part[3]) for part in self.parts}
        return own.get(url) or definitions.parameter(url)


@lru_cache(16)
def noted(recipe: str) -> tuple[Noted, ...]:
    """The definitions in force, from the recipe of a store."""
    return tuple(Noted(*(_tuples(value) for value in each)) for each in json.loads(recipe)) if recipe else ()


def _tuples(value):
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


@lru_cache(16)
def read(recipe: str) -> Own:
    """Type -> code -> the parameters of a store's own, from its recipe."""
    if not recipe:
        return NOTHING
    found: dict[str, dict[str, Defined]] = {}
    for each in noted(recipe):
        for type in bases(each.base):
            if (param := parameters.served(type, each.parameter, each.look)) is not None:
                found.setdefault(type, {})[each.code] = Defined(param, each.parameter, each.ready, each.since)
    return found


@lru_cache(None)
def bases(named: tuple[str, ...]) -> tuple[str, ...]:
    """The types with an address that are, or derive from, those named; without the log, which R4's parameters alone answer."""
    return tuple(type for type in parameters.TYPES if type != LOG and set(definitions.ancestors(type)) & set(named))


def put(recipe: str, id: str, resource: dict | None, since: int) -> str:
    """The recipe after SearchParameter/id became `resource` (None: it was deleted). One that is not active is not in force.

    Errors: Unprocessable with all that is wrong.
    """
    before = noted(recipe)
    others = tuple(each for each in before if each.id != id)
    made = _made(resource, id, since, others) if resource is not None and resource["status"] == "active" else None
    same = next((each for each in before if made and each.id == id and each.means == made.means), None)
    return _text((*others, *([same or made] if made else ())), before, recipe)


def waiting(recipe: str, types: list[str]) -> dict[str, int]:
    """id -> since of the definitions that a reindex of these types (none: of all) makes ready."""
    return {each.id: each.since for each in noted(recipe) if not each.ready and (not types or set(bases(each.base)) <= set(types))}


def of_url(recipe: str, url: str) -> tuple[str, ...]:
    """The types that a definition in force is for; none where there is no such."""
    return next((bases(each.base) for each in noted(recipe) if each.url == url), ())


def ready(recipe: str, since: dict[str, int]) -> str:
    """The recipe when all rows of these definitions are there (id -> since); others, and those that were changed meanwhile, still wait."""
    before = noted(recipe)
    return _text(tuple(each._replace(ready=each.ready or since.get(each.id) == each.since) for each in before), before, recipe)


def _text(after: tuple[Noted, ...], before: tuple[Noted, ...], recipe: str) -> str:
    return recipe if set(after) == set(before) else json.dumps(after, ensure_ascii=False, separators=(",", ":")) if after else ""


def _made(resource: dict, id: str, since: int, others: tuple[Noted, ...]) -> Noted | None:
    """None for one of R4's own, which is served anyway."""
    known = definitions.parameter(resource["url"])
    if known is not None:
        if (resource["code"], resource["type"], resource.get("expression", "")) != (known.code, known.type, known.expression):
            raise _wrong([("url", f"{known.url} is R4's own and is served as R4 defines it: code {known.code}, type {known.type}, expression {known.expression!r}. Another needs a url of its own.")])
        return None
    components = tuple((c["definition"].partition("|")[0], c["expression"]) for c in resource.get("component", ()))
    parts = tuple((o.url, o.code, o.type, o.targets) for o in others if o.url in {url for url, _ in components})
    made = Noted(id, since, False, resource["code"], resource["type"], resource["url"], resource.get("expression", ""), tuple(sorted(set(resource["base"]))),
                 tuple(resource.get("target", ())), components, parts)
    if wrong := [*_named(made, others), *_formed(made, resource), *_fits(made)]:
        raise _wrong(wrong)
    return made


def _wrong(found: list[tuple[str, str]]) -> Unprocessable:
    return Unprocessable(issues=[Issue("error", "processing", text, f"SearchParameter.{element}") for element, text in found])


def _named(made: Noted, others: tuple[Noted, ...]):
    """(element, what is wrong) of its url, code and base."""
    if len(others) >= MOST:
        yield "url", f"This store has {MOST} search parameters of its own, which is the most."
    if not CODE.fullmatch(made.code):
        yield "code", f"{made.code!r} cannot stand in a search: a letter, then letters, digits and hyphens, 64 at most."
    here = set(bases(made.base))
    if not set(made.base) <= {kind for type in here for kind in definitions.ancestors(type)}:
        yield "base", f"Nothing is searched of {', '.join(made.base)}, but by R4's parameters."
    taken = sorted(type for type in here if made.code in definitions.parameters(type))
    if taken:
        yield "code", f"R4 has {taken[0]}.{made.code} ({definitions.parameters(taken[0])[made.code].url}): choose another code."
    for other in others:
        if other.url == made.url:
            yield "url", f"SearchParameter/{other.id} has this url."
        elif other.code == made.code and (both := sorted(here & set(bases(other.base)))):
            yield "code", f"SearchParameter/{other.id} is {both[0]}.{made.code} already."


def _formed(made: Noted, resource: dict):
    """What is wrong with its type, use and parts."""
    if made.type == "special":
        yield "type", "A special parameter has a meaning of its own, which no definition tells a server."
    if resource.get("xpathUsage", "normal") != "normal":
        yield "xpathUsage", f"Only normal use of the elements is served, not {resource['xpathUsage']}."
    if len(made.expression) > LONGEST:
        yield "expression", f"An expression of more than {LONGEST} characters."
    if not made.expression:
        yield "expression", "Without an expression there is nothing to index."
    if (made.type == "composite") != bool(made.components):
        yield "component", "A composite has components, and nothing else has."
    for step, (url, expression) in enumerate(made.components):
        part = made.look(url)
        if part is None:
            yield f"component[{step}].definition", f"{url} is neither R4's nor an active SearchParameter here."
        elif part.type in ("composite", "special"):
            yield f"component[{step}].definition", f"{url} is a {part.type} parameter, which is no part of a composite."


def _fits(made: Noted):
    """Whether its expression gives what a parameter of its type has rows of, on each base."""
    if made.type not in types.TYPES or made.type == "special" or not made.expression or any(made.look(url) is None for url, _ in made.components):
        return
    try:
        for expression in (made.expression, *(e for _, e in made.components)):
            compile(expression)
        missing = [type for type in bases(made.base) if parameters.served(type, made.parameter, made.look) is None]
    except BadExpression as error:
        yield "expression", f"This is no FHIRPath: {error}."
        return
    except Unfit:
        yield "expression", "A composite and its parts are plain paths: elements, as, where with one equality, the first of a list."
        return
    # what derives from an abstract base need not have the element
    if missing and (set(missing) & set(made.base) or len(missing) == len(bases(made.base))):
        takes = "" if made.type == "composite" else f", which are {', '.join(sorted(types.TYPES[made.type].READERS))}"
        yield "expression", f"On {missing[0]} the expression finds no element that a {made.type} parameter is made of{takes}."
