"""$translate: what a code is in another code system, by the maps that are stored here. https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""
from __future__ import annotations


from app import errors, terms
from app.audit import asked as recorded
from app.errors import Absent, Invalid, TooCostly
from app.fhir import conceptmap, json, validate as checks
from app.fhir.conceptmap import Asked, Match
from app.records import Event
from app.rest import body, negotiation
from app.rest.call import Answer, Call, single
from app.search.query import Compare, Query, has

MAPS = 50
"""Maps that one question may take, those that lead on to others included."""
MATCHES = 1_000
PLAIN = {"url": "Uri", "conceptMapVersion": "String", "code": "Code", "system": "Uri", "version": "String", "source": "Uri", "target": "Uri", "targetsystem": "Uri", "reverse": "Boolean"}
"""What may stand in the address too, and its type."""
STRUCTURED = {"coding": "valueCoding", "codeableConcept": "valueCodeableConcept", "conceptMap": "resource", "dependency": "part"}


async def translate(call: Call) -> Answer:
    """Parameters `result`, `message`, `match`. Errors: Absent for a map that is not known; Invalid for what is no question; TooCostly."""
    if call.target.type != "ConceptMap":
        raise Absent("$translate stands at ConceptMap and at one of them: ConceptMap/$translate, ConceptMap/7/$translate.")
    given = _given(call)
    codings, maps = _codings(given), _Maps(call)
    asked = Asked(given.get("source", ""), given.get("target", ""), given.get("targetsystem", ""), tuple(given.get("dependency", ())), given.get("reverse", False))
    found: dict[str, Match] = {}
    hints: list[str] = []
    for coding in codings:
        await _walk(maps, await maps.first(given, coding, asked.reverse), coding, asked, found, hints)
    return Answer(resource=_said(list(found.values()), hints))


async def _walk(maps: "_Maps", fresh: list[dict], coding: dict, asked: Asked, found: dict[str, Match], hints: list[str]) -> None:
    """What the maps, and those to which they lead, say of a coding. Errors: TooCostly."""
    met: set[str] = set()
    while fresh:
        said = conceptmap.translate(fresh.pop(0), coding, asked)
        found |= {repr(match): match for match in said.matches}
        if len(found) > MATCHES:
            raise TooCostly(f"More than {MATCHES} matches; name a map by url, or a target.")
        hints += [f"A mapping depends on {name}; give it as a dependency." for name in said.lacking]
        for url in said.others:
            if url not in met and (other := await maps.named(url)) is None:
                hints.append(f"The map {url}, to which an unmapped code leads, is not known here.")
            elif url not in met:
                fresh.append(other)
            met.add(url)


class _Maps:
    """The maps of one question; each look is recorded."""

    def __init__(self, call: Call):
        self.call, self.read, self.spent = call, {}, 0

    async def first(self, given: dict, coding: dict, reverse: bool) -> list[dict]:
        """The map that is meant, or all for the code's system. Errors: Absent for one that is not known."""
        if "conceptMap" in given:
            await self.call.records.rehearse(None, Event("E", "$translate"))
            return [given["conceptMap"]]
        if self.call.target.id:
            return [await self._stored()]
        if "url" not in given:
            return await self._of_system(coding["system"], "target-system" if reverse else "source-system")
        version = given.get("conceptMapVersion")
        url = f"{given['url']}|{version}" if version else given["url"]
        if (map := await self.named(url)) is None:
            raise Absent(f"The concept map {url} is not known here.", expression="url")
        return [map]

    async def named(self, url: str) -> dict | None:
        """The map with a url. Errors: TooCostly."""
        if url not in self.read:
            if len(self.read) >= MAPS:
                raise TooCostly(f"More than {MAPS} concept maps are needed.")
            text = await terms.stored("ConceptMap", url, self._find, self.call.base)
            self.read[url] = self._load(text) if text else None
        return self.read[url]

    async def _stored(self) -> dict:
        if "" not in self.read:
            self.read[""] = json.loads((await self.call.records.read("ConceptMap", self.call.target.id)).text)
        return self.read[""]

    async def _of_system(self, system: str, parameter: str) -> list[dict]:
        """The maps in use that have a group of the system, of each url the best. Errors: TooCostly."""
        key = f"{parameter} {system}"
        if key not in self.read:
            found = [f.entry for f in await self._find(Query(("ConceptMap",), has(f"ConceptMap.{parameter}", Compare("code", "eq", system))), MAPS + 1)]
            if len(found) > MAPS:
                raise TooCostly(f"More than {MAPS} concept maps are of {system}; name one by url.", expression="url")
            best = {map.get("url", entry.id): map for entry in sorted(found, key=terms.rank) if (map := self._load(entry.text)).get("status") != "retired"}
            self.read[key] = list(best.values())
        return list(self.read[key])

    def _load(self, text: bytes) -> dict:
        self.spent += len(text)
        if self.spent > terms.LARGEST:
            raise TooCostly("The concept maps that are asked for are too large together; name one by url.")
        return json.loads(text)

    async def _find(self, query: Query, limit: int):
        return await self.call.records.find(query, limit, Event("E", "$translate"), recorded.text(self.call.pairs))


# what is asked

def _given(call: Call) -> dict:
    """The parameters by name, of the address and of Parameters. Errors: Invalid, Unsupported by the name."""
    call.only(*PLAIN)
    given = {name: value for name in PLAIN if (value := single(call.pairs, name)) is not None}
    if call.method == "POST" and call.body:
        for name, value in _sent(call):
            if name in given and name != "dependency":
                raise Invalid(f"{name} must not be repeated.", expression=name)
            given[name] = [*given.get(name, ()), value] if name == "dependency" else value
    for name in PLAIN:
        if given.get(name) == "":
            raise Invalid(f"{name} is empty.", expression=name)
    if given.get("reverse") not in (None, True, False):
        if given["reverse"] not in ("true", "false"):
            raise Invalid(f"reverse is true or false, not {given['reverse']!r}.", expression="reverse")
        given["reverse"] = given["reverse"] == "true"
    _one_map(call, given)
    return given


def _one_map(call: Call, given: dict) -> None:
    named = [name for name in ("url", "conceptMap") if name in given]
    if len(named) > 1 or named and call.target.id:
        raise Invalid("One map is asked: by its address, by url, or sent as conceptMap.", expression=named[0])
    if "conceptMapVersion" in given and "url" not in given:
        raise Invalid("conceptMapVersion is the version of the map with a url.", expression="conceptMapVersion")


def _sent(call: Call) -> list[tuple[str, object]]:
    """(name, value) of each parameter of a Parameters resource. Errors: Invalid."""
    negotiation.content(call.headers.get("content-type"), *negotiation.JSON)
    sent = call.body if isinstance(call.body, dict) else body.resource(call.body)
    if issues := checks.validate(sent):
        raise Invalid(issues=issues)
    if sent["resourceType"] != "Parameters":
        raise Invalid("$translate takes Parameters.", expression="resourceType")
    return [_parameter(each, f"Parameters.parameter[{step}]") for step, each in enumerate(sent.get("parameter", ()))]


def _parameter(each: dict, place: str) -> tuple[str, object]:
    name = each["name"]
    key = STRUCTURED.get(name) or f"value{PLAIN.get(name, '')}"
    if name not in PLAIN and name not in STRUCTURED or key not in each:
        raise Invalid(f"$translate takes {', '.join((*PLAIN, *STRUCTURED))}, each of its type, not {name!r} so.", expression=place)
    if name == "conceptMap" and each[key]["resourceType"] != "ConceptMap":
        raise Invalid(f"conceptMap is a ConceptMap, not a {each[key]['resourceType']}.", expression=place)
    return name, _dependency(each[key], place) if name == "dependency" else each[key]


def _dependency(parts: list[dict], place: str) -> tuple[str, dict]:
    by = {part["name"]: part for part in parts}
    if set(by) != {"element", "concept"} or "valueUri" not in by["element"] or "valueCodeableConcept" not in by["concept"]:
        raise Invalid("A dependency has an element (valueUri) and a concept (valueCodeableConcept).", expression=place)
    return by["element"]["valueUri"], by["concept"]["valueCodeableConcept"]


def _codings(given: dict) -> list[dict]:
    """What is to be translated, each with system and code. Errors: Invalid unless there is just one of code, coding, codeableConcept."""
    named = [name for name in ("code", "coding", "codeableConcept") if name in given]
    if len(named) != 1:
        raise Invalid("Just one of code, coding and codeableConcept says what is to be translated.", issues=[errors.Issue(
            "error", "required" if not named else "invalid", "Just one of code, coding and codeableConcept says what is to be translated.", named[-1] if named else "code")])
    if named != ["code"] and {"system", "version"} & set(given):
        raise Invalid("system and version belong to code; a coding has its own.", expression="system")
    if named == ["code"]:
        listed = [{key: given[key] for key in ("system", "version", "code") if key in given}]
    else:
        listed = [given["coding"]] if named == ["coding"] else given["codeableConcept"].get("coding", [])
    usable = [coding for coding in listed if "system" in coding and "code" in coding]
    if not usable:
        raise Invalid("What is to be translated has a system and a code.", expression="system" if named == ["code"] else named[0])
    return usable


# what is answered

def _said(matches: list[Match], hints: list[str]) -> dict:
    translated = any(match.concept and match.equivalence not in conceptmap.NO_MATCH for match in matches)
    if not translated:
        hints = ["A map says that there is no such code." if matches else "No map here has a translation of it.", *hints]
    message = [{"name": "message", "valueString": " ".join(dict.fromkeys(hints))}] if hints else []
    return {"resourceType": "Parameters", "parameter": [{"name": "result", "valueBoolean": translated}, *message, *map(_match, matches)]}


def _match(match: Match) -> dict:
    parts = [{"name": "equivalence", "valueCode": match.equivalence}]
    if match.concept:
        parts.append({"name": "concept", "valueCoding": match.concept})
    parts += [{"name": "product", "part": [{"name": "element", "valueUri": element}, {"name": "concept", "valueCoding": coding}]} for element, coding in match.products]
    if match.source:
        parts.append({"name": "source", "valueUri": match.source})
    return {"name": "match", "part": parts}
