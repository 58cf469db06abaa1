"""Minimal resources by the definitions that keep the invariants, and ones that a given search parameter finds."""
from __future__ import annotations

from functools import lru_cache

from app.fhir import bindings, definitions
from app.search import parameters
from app.search.paths import Bears, Branch, Equals, Is, Unfit, ends

TYPE = {"coding": [{"system": "urn:types", "code": "T"}]}
VALUES = {
    "string": ("Alpha", "Alpha", "Zulu"), "markdown": ("Alpha", "Alpha", "Zulu"), "boolean": (True, "true", "false"),
    "uri": ("http://example.org/a/b", "http://example.org/a/b", "http://example.org/z"), "date": ("2001-02-03", "2001-02-03", "1990-01-01"),
    "dateTime": ("2001-02-03T04:05:06Z", "2001-02-03T04:05:06Z", "1990-01-01"), "instant": ("2001-02-03T04:05:06Z", "2001-02-03T04:05:06Z", "1990-01-01"),
    "integer": (5, "5", "7"), "decimal": (5, "5", "7"), "positiveInt": (5, "5", "7"), "unsignedInt": (5, "5", "7"), "time": ("12:00:00", "", ""),
    "Period": ({"start": "2001-02-03", "end": "2001-02-04"}, "ge2001-02-03", "gt2010"), "Timing": ({"event": ["2001-02-03T04:05:06Z"]}, "2001-02-03", "1990-01-01"),
    "CodeableConcept": ({"coding": [{"system": "urn:s", "code": "a", "display": "Alpha"}], "text": "Alpha"}, "urn:s|a", "urn:s|z"),
    "Coding": ({"system": "urn:s", "code": "a", "display": "Alpha"}, "urn:s|a", "urn:s|z"),
    "Identifier": ({"type": {**TYPE, "text": "Alpha"}, "system": "urn:s", "value": "a"}, "urn:s|a", "urn:s|z"),
    "ContactPoint": ({"system": "phone", "value": "555"}, "555", "777"), "HumanName": ({"family": "Alpha"}, "Alpha", "Zulu"), "Address": ({"city": "Alpha"}, "Alpha", "Zulu"),
    "Range": ({"low": {"value": 5}, "high": {"value": 6}}, "lt8", "gt9"), "Money": ({"value": 5, "currency": "CNY"}, "5", "7"),
    "Annotation": ({"text": "Alpha"}, "Alpha", "Zulu"), "Attachment": ({"url": "http://example.org/a/b"}, "", ""), "base64Binary": ("YQ==", "", ""), "id": ("alpha", "alpha", "zulu"),
    "xhtml": ('<div xmlns="http://www.w3.org/1999/xhtml">a</div>', "", ""), "Narrative": ({"status": "empty", "div": '<div xmlns="http://www.w3.org/1999/xhtml">a</div>'}, "", ""),
    "TriggerDefinition": ({"type": "named-event", "name": "a"}, "", ""), "Expression": ({"language": "text/fhirpath", "expression": "true"}, "", ""), "oid": ("urn:oid:1.2.3", "urn:oid:1.2.3", "urn:oid:1.2.4"),
    "uuid": ("urn:uuid:00000000-0000-4000-8000-000000000001", "urn:uuid:00000000-0000-4000-8000-000000000001", "urn:uuid:00000000-0000-4000-8000-000000000002"),
}
for _kind in ("url", "canonical"):
    VALUES[_kind] = VALUES["uri"]
VALUES["Age"] = ({"value": 5, "system": "http://unitsofmeasure.org", "code": "a"}, "5", "7")
for _kind in ("Quantity", "SimpleQuantity", "Duration", "Count", "Distance", "MoneyQuantity"):
    VALUES[_kind] = ({"value": 5}, "5", "7")


def value(type: str, element=None) -> tuple:
    """(content, search text that finds it, search text that does not) of an element."""
    if type == "code":
        return _code(element)
    if type == "Reference":
        target = next((t for t in (element.targets if element else ()) if t in definitions.TYPES), "Patient")
        return {"reference": f"{target}/x1", "identifier": {"system": "urn:s", "value": "a"}}, f"{target}/x1", f"{target}/x2"
    if type == "CodeableConcept" and (values := bindings.required(element)):
        system, code = next((s, c) for s, codes in values.sets.items() for c in sorted(codes.listed) or ["mg"])
        return {"coding": [{"system": system, "code": code, "display": "Alpha"}], "text": "Alpha"}, f"{system}|{code}", "urn:s|z"
    if type in VALUES:
        return VALUES[type]
    if type == "Resource":
        return {"resourceType": "Basic", "code": {"text": "a"}}, "", ""
    return {**minimal(type), **({} if minimal(type) else _something(type))}, "", ""


def _code(element) -> tuple:
    values = bindings.required(element)
    codes = ["a", "zz"] if values is None else sorted(values.codes or next(codes for codes in (["aa", "zz"], ["a/b", "z/z"]) if values.system(codes[0]) is not None))
    return codes[0], codes[0], next((c for c in codes if c != codes[0]), "zz")


def _something(type: str) -> dict:
    """One element of a type that needs none: an object is never empty."""
    key, element = next((k, e) for k, e in definitions.elements(type).items() if e.type in ("string", "code", "uri", "CodeableConcept") and k != "id")
    return {key: _many(element, value(element.type, element)[0])}


def _many(element, content):
    return content if element.max == 1 else [content]


@lru_cache(None)
def minimal(type: str) -> dict:
    """What must be there."""
    made = {"resourceType": type} if definitions.is_resource(type) else {}
    for key, element in definitions.elements(type).items():
        if element.min > 0:
            made[key] = _many(element, value(element.type, element)[0])
    for low, keys in definitions.choices(type).values():
        if low:
            element = definitions.elements(type)[keys[0]]
            made[keys[0]] = value(element.type, element)[0]
    return made


def _trail(tree: Branch, wanted: Branch) -> list | None:
    """The steps from a branch to another: property names and conditions."""
    if tree is wanted:
        return []
    steps = [*tree.children.items(), *((test, branch) for test, branch in tree.guards), *([(None, tree.first)] if tree.first else [])]
    for step, branch in steps:
        rest = _trail(branch, wanted)
        if rest is not None:
            return [step, *rest]
    return None


def placed(type: str, made: dict, trail: list, content, own: str = "") -> dict:
    """`made`, of a type, with content at the end of a trail."""
    if not trail:
        return content
    step, rest = trail[0], trail[1:]
    if step is None:
        return placed(type, made, rest, content)
    if isinstance(step, Equals):
        return placed(type, {**made, step.name: step.text}, rest, content) if rest else {**content, step.name: step.text}
    if isinstance(step, Is):
        return {**content, "reference": f"{step.type}/x1"}
    if isinstance(step, Bears):
        return {**content, "extension": [{"url": step.url, "valueBoolean": True}]}
    element = definitions.elements(type)[step]
    if element.choice:  # another type of the same choice would be too many
        made = {k: v for k, v in made.items() if k not in dict(definitions.choices(type))[element.choice][1]}
    below = made.get(step)
    below = below[0] if isinstance(below, list) else below
    inner = dict(below) if isinstance(below, dict) else minimal(element.type) if rest and definitions.kind(element.type) != "primitive-type" else {}
    return {**made, step: _many(element, placed(element.type, inner, rest, content))}


SOME, SOFTWARE = {"identifier": [{"value": "x"}]}, {"software": {"name": "a"}}
INVARIANTS = {
    "AllergyIntolerance": {"clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]}},
    "Appointment": {"start": "2001-02-03T04:05:06Z", "end": "2001-02-03T04:05:06Z"}, "Appointment.participant": {"type": [{"text": "a"}]}, "AppointmentResponse": {"participantType": [{"text": "a"}]},
    "CapabilityStatement": {**SOFTWARE, "rest": [{"mode": "client"}]}, "Composition.section": {"text": VALUES["Narrative"][0]}, "ConceptMap.group.unmapped": {"code": "a"},
    "Condition": {"clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "resolved"}]}}, "Consent": {"policyRule": {"text": "a"}},
    "ElementDefinition": {"id": "a", "definition": "a", "min": 0, "max": "1", "base": {"path": "A", "min": 0, "max": "1"}},
    "ImmunizationRecommendation.recommendation": {"targetDisease": {"text": "a"}}, "InsurancePlan": SOME, "Organization": SOME, "RequestGroup.action": {"resource": {"display": "a"}},
    "StructureDefinition": {"differential": {"element": [{"id": "Alpha", "path": "Alpha"}]}}, "TerminologyCapabilities": SOFTWARE, "ValueSet.expansion.contains": {"system": "urn:s"},
}
"""What the invariants of a type or an anonymous part want beside what must be there."""


def keeping(type: str, made):
    """The same with what the invariants want."""
    if isinstance(made, list):
        return [keeping(type, each) for each in made]
    if not isinstance(made, dict):
        return made
    type = made.get("resourceType", type)
    known = definitions.elements(type)
    made = {**INVARIANTS.get(type, {}), **{key: keeping(known[key].type, item) if key in known else item for key, item in made.items()}}
    if type == "Linkage":
        made["item"] = made["item"] * 2
    if type == "MolecularSequence":
        made["coordinateSystem"] = 0
    if type == "MolecularSequence.referenceSeq" and "referenceSeqId" not in made:
        made |= {"genomeBuild": "a", "chromosome": made.get("chromosome", {"text": "a"})}
    if type == "SearchParameter":
        made["status"] = "draft"  # one in force is judged: it must be able to find something
    if type == "StructureDefinition" and "/" in made["type"]:
        made["kind"] = "logical"
    return made


BY_HAND = {
    ("StructureDefinition", "kind"): ({"resourceType": "StructureDefinition", "url": "http://example.org/a", "name": "A", "status": "active", "kind": "resource", "abstract": True, "type": "Alpha"},
                                      "resource", "logical"),
    ("SearchParameter", "status"): (minimal("SearchParameter"), "draft", "active"),
    ("Location", "near"): ({"resourceType": "Location", "position": {"latitude": 31.2, "longitude": 121.5}}, "31.3|121.5|12|km", "31.3|121.5|11|km"),
    ("Patient", "deceased"): ({"resourceType": "Patient", "deceasedBoolean": True}, "true", "false"),
    ("DiagnosticReport", "assessed-condition"): ({**minimal("DiagnosticReport"), "extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/DiagnosticReport-geneticsAssessedCondition", "valueReference": {"reference": "Condition/x1", "identifier": {"system": "urn:s", "value": "a"}}}]},
        "Condition/x1", "Condition/x2"),
    ("Observation", "gene-identifier"): ({**minimal("Observation"), "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/observation-geneticsGene", "valueCodeableConcept": VALUES["CodeableConcept"][0]}]},
                                         "urn:s|a", "urn:s|z"),
    ("QuestionnaireResponse", "item-subject"): ({"resourceType": "QuestionnaireResponse", "status": "completed", "item": [
        {"linkId": "1", "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/questionnaireresponse-isSubject", "valueBoolean": True}],
         "answer": [{"valueReference": {"reference": "Patient/x1", "identifier": {"system": "urn:s", "value": "a"}}}]}]}, "Patient/x1", "Patient/x2"),
    ("Bundle", "composition"): ({"resourceType": "Bundle", "type": "document", "identifier": {"system": "urn:s", "value": "a"}, "timestamp": "2001-01-01T00:00:00Z", "entry": [{"resource": {
        "resourceType": "Composition", "id": "x1", "status": "final", "type": {"text": "a"}, "date": "2001", "author": [{"reference": "Patient/x1"}], "title": "a"}}]},
        "Composition/x1", "Composition/x2"),
    ("Bundle", "message"): ({"resourceType": "Bundle", "type": "message", "entry": [{"resource": {
        "resourceType": "MessageHeader", "id": "x1", "eventUri": "urn:e", "source": {"endpoint": "urn:x"}}}]}, "MessageHeader/x1", "MessageHeader/x2"),
}


def found_by(type: str, param) -> tuple[dict, str, str] | None:
    """A resource of a type that the parameter finds, the text that finds it and one that does not; None where none can be made here."""
    definition = parameters.definition(type, param.code)
    if (type, param.code) in BY_HAND:
        found = BY_HAND[type, param.code]
    elif param.code in ("_text", "_content"):
        found = _in_words(type)
    elif param.components:
        found = _composite(type, param, definition)
    else:
        found = _at(type, type, minimal(type), definition.expression, param)
    return found and (keeping(type, found[0]), *found[1:])


def _in_words(type: str) -> tuple[dict, str, str]:
    """A resource with a narrative; of the types that have none, with a word elsewhere."""
    said = {"Binary": {"contentType": "bone/marrow"}, "Bundle": {"identifier": {"value": "bone"}}}
    narrative = {"text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Bone 转移</div>'}}
    return {**minimal(type), **said.get(type, narrative)}, "bone", "liver"


def _at(root: str, type: str, made: dict, expression: str, param) -> tuple[dict, str, str] | None:
    """`made` with what the parameter reads at an expression's first end that can be filled."""
    tree = Branch()
    try:
        reached = ends(tree, type, expression)
    except Unfit:
        return None
    for end in sorted(reached, key=lambda end: end.type != "Reference"):
        if end.type not in param.kinds or end.type in ("Resource", "Extension"):
            continue
        content, yes, no = value(end.type, end.element)
        trail = _trail(tree, end.branch)
        if end.type == "Reference":
            only = next((s.type for s in trail if isinstance(s, Is)), content["reference"].partition("/")[0])
            target = only if only in param.targets else param.targets[0]
            content, yes, no = {**content, "reference": f"{target}/x1"}, f"{target}/x1", f"{target}/x2"
        if yes:
            return placed(type, made, trail, content), yes, no
    return None


def _composite(type: str, param, definition) -> tuple[dict, str, str] | None:
    tree = Branch()
    for base in ends(tree, type, definition.expression):
        made, trail = minimal(type), _trail(tree, base.branch)
        inner = made if not trail else minimal(base.type)
        yes, no = [], []
        for part, expression in zip(param.components, parameters.part_expressions(definition)):
            rooted = expression.startswith("%resource.")
            filled = _at(type, type if rooted else base.type, made if rooted else inner, expression.removeprefix("%resource."), part)
            if filled is None:
                break
            made, inner = (filled[0], inner if trail else filled[0]) if rooted or not trail else (made, filled[0])
            yes.append(filled[1])
            no.append(filled[2] if len(yes) == 2 else filled[1])
        else:
            return (placed(type, made, trail, inner) if trail else made), "$".join(yes), "$".join(no)
    return None
