"""R4's invariants, broken and kept by hand: https://hl7.org/fhir/R4/ (the Constraints of each page)."""
from __future__ import annotations

import pytest

from app.fhir import definitions, invariants, json
from app.fhir.path import Node, compile
from app.fhir.path.presence import surely
from tests.rest import examples

XHTML = '<div xmlns="http://www.w3.org/1999/xhtml">a</div>'
DONE = {"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": "urn:s", "code": "a"}], "text": "a"}}
PLAN = {"resourceType": "Questionnaire", "status": "draft"}
BROKEN = [
    ({"resourceType": "Organization"}, "org-1", "Organization"),
    ({"resourceType": "Organization", "name": "a", "telecom": [{"use": "work"}, {"use": "home"}]}, "org-3", "Organization.telecom[1]"),
    ({"resourceType": "Organization", "name": "a", "address": [{"use": "home"}]}, "org-2", "Organization.address[0]"),
    ({"resourceType": "Patient", "contact": [{"name": {"text": "a"}}, {"gender": "female"}]}, "pat-1", "Patient.contact[1]"),
    ({"resourceType": "Patient", "identifier": [{"period": {"start": "2020-02", "end": "2020-01"}}]}, "per-1", "Patient.identifier[0].period"),
    ({"resourceType": "Patient", "managingOrganization": {"reference": "#nobody"}}, "ref-1", "Patient.managingOrganization"),
    ({"resourceType": "Patient", "contained": [{"resourceType": "Organization", "id": "o", "name": "a"}]}, "dom-3", "Patient"),
    ({"resourceType": "Patient", "managingOrganization": {"reference": "#o"},
      "contained": [{"resourceType": "Organization", "id": "o", "name": "a", "meta": {"versionId": "1"}}]}, "dom-4", "Patient"),
    ({"resourceType": "Patient", "managingOrganization": {"reference": "#o"}, "contained": [{"resourceType": "Organization", "id": "o"}]}, "org-1", "Patient.contained[0]"),
    ({"resourceType": "Patient", "photo": [{"data": "YQ=="}]}, "att-1", "Patient.photo[0]"),
    ({"resourceType": "Patient", "telecom": [{"value": "555"}]}, "cpt-2", "Patient.telecom[0]"),
    ({**DONE, "valueString": "a", "dataAbsentReason": {"text": "b"}}, "obs-6", "Observation"),
    ({**DONE, "valueString": "a", "component": [{"code": {"coding": [{"system": "urn:s", "code": "a"}]}}]}, "obs-7", "Observation"),
    ({**DONE, "referenceRange": [{"type": {"text": "a"}}]}, "obs-3", "Observation.referenceRange[0]"),
    ({**DONE, "valueQuantity": {"value": 5, "code": "g"}}, "qty-3", "Observation.value"),
    ({**DONE, "valueRange": {"low": {"value": 5}, "high": {"value": 4.9}}}, "rng-2", "Observation.value"),
    ({**DONE, "valueRatio": {"numerator": {"value": 5}}}, "rat-1", "Observation.value"),
    ({**DONE, "effectiveTiming": {"repeat": {"duration": 5}}}, "tim-1", "Observation.effective.repeat"),
    ({**DONE, "effectiveTiming": {"repeat": {"period": -1, "periodUnit": "d"}}}, "tim-5", "Observation.effective.repeat"),
    ({"resourceType": "Condition", "subject": {"display": "a"}, "abatementDateTime": "2020"}, "con-4", "Condition"),
    ({"resourceType": "Condition", "onsetAge": {"value": -5, "code": "a", "system": "http://unitsofmeasure.org"}, "subject": {"display": "a"}}, "age-1", "Condition.onset"),
    ({"resourceType": "AllergyIntolerance", "patient": {"display": "a"}}, "ait-1", "AllergyIntolerance"),
    ({"resourceType": "Appointment", "status": "booked", "start": "2020-01-01T00:00:00Z", "participant": [{"type": [{"text": "a"}], "status": "accepted"}]}, "app-2", "Appointment"),
    ({"resourceType": "Appointment", "status": "proposed", "participant": [{"status": "accepted"}]}, "app-1", "Appointment.participant[0]"),
    ({"resourceType": "Bundle", "type": "batch", "total": 1}, "bdl-1", "Bundle"),
    ({"resourceType": "Bundle", "type": "transaction", "entry": [{"fullUrl": "urn:uuid:1"}]}, "bdl-5", "Bundle.entry[0]"),
    ({"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": "urn:x", "resource": {"resourceType": "Basic", "code": {"text": "a"}}}] * 2}, "bdl-7", "Bundle"),
    ({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": "Organization"}}]}, "org-1", "Bundle.entry[0].resource"),
    ({"resourceType": "Parameters", "parameter": [{"name": "a", "part": [{"name": "b"}]}]}, "inv-1", "Parameters.parameter[0].part[0]"),
    ({"resourceType": "Task", "status": "draft", "intent": "order", "authoredOn": "2020-01-02", "lastModified": "2020-01-01"}, "inv-1", "Task"),
    ({"resourceType": "List", "status": "current", "mode": "working", "emptyReason": {"text": "a"}, "entry": [{"item": {"display": "a"}}]}, "lst-1", "List"),
    ({"resourceType": "Linkage", "item": [{"type": "source", "resource": {"display": "a"}}]}, "lnk-1", "Linkage"),
    ({**PLAN, "item": [{"linkId": "1", "type": "group", "item": [{"linkId": "1", "type": "string"}]}]}, "que-2", "Questionnaire"),
    ({**PLAN, "item": [{"linkId": "1", "type": "group"}]}, "que-1", "Questionnaire.item[0]"),
    ({**PLAN, "item": [{"linkId": "1", "type": "boolean", "enableWhen": [{"question": "2", "operator": "exists", "answerString": "a"}]}]}, "que-7", "Questionnaire.item[0].enableWhen[0]"),
    ({"resourceType": "CodeSystem", "status": "draft", "content": "complete", "concept": [{"code": "a", "concept": [{"code": "a"}]}]}, "csd-1", "CodeSystem"),
    ({"resourceType": "ValueSet", "status": "draft", "compose": {"include": [{"concept": [{"code": "a"}]}]}}, "vsd-2", "ValueSet.compose.include[0]"),
    ({"resourceType": "MolecularSequence", "coordinateSystem": 2}, "msq-3", "MolecularSequence"),
    ({"resourceType": "RiskAssessment", "status": "final", "subject": {"display": "a"}, "prediction": [{"probabilityDecimal": 100.5}]}, "ras-2", "RiskAssessment.prediction[0]"),
    ({"resourceType": "RiskAssessment", "status": "final", "subject": {"display": "a"}, "prediction": [{"probabilityRange": {"low": {"value": 1, "code": "1"}}}]}, "ras-1",
     "RiskAssessment.prediction[0].probability"),
    ({"resourceType": "StructureDefinition", "url": "http://x/y", "name": "A", "status": "draft", "kind": "logical", "abstract": True, "type": "A", "differential": {"element": [{"id": "A", "path": "A", "max": "-1"}]}},
     "eld-3", "StructureDefinition.differential.element[0].max"),
    ({**DONE, "referenceRange": [{"low": {"value": 5, "comparator": "<"}}]}, "sqty-1", "Observation.referenceRange[0].low"),
    ({"resourceType": "MedicationRequest", "status": "draft", "intent": "plan", "subject": {"display": "a"}, "medicationReference": {"display": "a"}, "dosageInstruction": [{"doseAndRate": [
        {"doseQuantity": {"value": 5, "comparator": "<"}}]}]}, "sqty-1", "MedicationRequest.dosageInstruction[0].doseAndRate[0].dose"),
    ({"resourceType": "MedicationDispense", "status": "completed", "whenPrepared": "2020-01-02", "whenHandedOver": "2020-01-01"}, "mdd-1", "MedicationDispense"),
]
KEPT = [
    DONE, {"resourceType": "Patient"}, {"resourceType": "Organization", "identifier": [{"value": "1"}]},
    {**DONE, "dataAbsentReason": {"text": "b"}, "component": [{"code": {"coding": [{"system": "urn:s", "code": "a"}]}}]},
    {**DONE, "valueQuantity": {"value": 5, "code": "g", "system": "http://unitsofmeasure.org"}, "effectivePeriod": {"start": "2020-01", "end": "2020-01"}},
    {"resourceType": "Patient", "managingOrganization": {"reference": "#o"}, "contained": [{"resourceType": "Organization", "id": "o", "name": "a", "partOf": {"reference": "#o"}}]},
    {"resourceType": "Patient", "contained": [{"resourceType": "Provenance", "id": "p", "target": [{"reference": "#"}], "recorded": "2020-01-01T00:00:00Z", "agent": [{"who": {"display": "a"}}]}]},
    {**PLAN, "item": [{"linkId": "1", "type": "group", "item": [{"linkId": "2", "type": "string"}]}]},
]


def read(resource: dict) -> dict:
    """The resource as it is when it was sent: numbers keep their text."""
    return json.loads(json.dumps(resource))


@pytest.mark.parametrize("resource, key, place", BROKEN, ids=lambda x: x if isinstance(x, str) else None)
def test_a_broken_invariant_is_named_with_its_place(resource, key, place):
    found = [(i.text.partition(":")[0], i.expression, i.severity, i.code) for i in invariants.check(read(resource))]
    assert found.count((key, place, "error", "invariant")) == 1


@pytest.mark.parametrize("resource", KEPT, ids=lambda r: r["resourceType"])
def test_what_keeps_them_has_no_issue(resource):
    assert invariants.check(read(resource)) == []


def test_best_practice_is_told_where_it_is_asked_for():
    assert [(i.severity, i.text[:5]) for i in invariants.check(DONE, warnings=True)] == [("warning", "dom-6")]
    assert invariants.check({**DONE, "text": {"status": "generated", "div": XHTML}}, warnings=True) == []
    named = {"resourceType": "ValueSet", "status": "draft", "name": "not a name", "text": {"status": "generated", "div": XHTML}}
    assert [i.text[:5] for i in invariants.check(named, warnings=True)] == ["vsd-0"]


def said() -> set[tuple[str, str]]:
    """(key, expression) of every invariant that the definitions hold."""
    types = definitions._all()["types"]
    return {(rule[0], rule[3]) for type in types for path in types[type]["invariants"] for rule in definitions.invariants(path, "Quantity")} | {("sqty-1", "comparator.empty()")}


def judged() -> dict[tuple[str, str], str]:
    """(key, expression) -> a type of the elements on which it is judged: named types, and anonymous parts by their paths."""
    found = {}
    for type in (part for named in definitions._all()["types"].values() if named["kind"] != "primitive-type" for part in {path for path in named["elements"]}):
        plan = invariants._plan(type)
        found |= {(r.key, r.expression.text): type for r in plan.rules}
        found |= {(r.key, r.expression.text): kind for kind, rules in plan.children.values() for r in rules}
    return found


def test_every_invariant_of_r4_is_judged_somewhere():
    """Those of structure are judged with it. 237 keys stand at R4's types, of which inv-1 is three different rules; sqty-1 is SimpleQuantity's."""
    assert {key for key, _ in said() - judged().keys()} == invariants.STRUCTURAL
    assert len(said()) == 240 and len({key for key, _ in said()}) == 238


@pytest.mark.parametrize("key, expression", sorted(judged()), ids=lambda x: x[:8])
def test_every_invariant_evaluates_on_an_empty_and_on_a_full_element(key, expression):
    """With all that it may hold, each of its properties and theirs, it gives a Boolean or nothing, and no error."""
    type = judged()[key, expression]
    for value in ({}, full(type, 2)) if definitions.kind(type) != "primitive-type" else ("1", "a"):
        root = Node({"resourceType": "Basic"}, "Basic") if not definitions.is_resource(type) else None
        assert compile(expression).holds(Node(value, type, root, "code", "code")) in (True, False, None)


def full(type: str, depth: int) -> dict:
    """An element with every property that its type has, one of a choice."""
    made = {"resourceType": type} if definitions.is_resource(type) else {}
    for key, element in definitions.elements(type).items():
        if element.choice and any(k in made for k in definitions.choices(type)[element.choice][1]):
            continue
        if element.type in examples.VALUES or definitions.kind(element.type) in ("primitive-type", "resource"):
            value = examples.value(element.type, element)[0]
        else:
            value = full(element.type, depth - 1) if depth else {"id": "a"}
        made[key] = value if element.max == 1 else [value]
    return made


@pytest.mark.parametrize("resource", [*(r for r, *_ in BROKEN), *KEPT], ids=lambda r: r["resourceType"])
def test_what_is_skipped_would_have_given_the_same(resource, monkeypatch):
    resource = read(resource)
    found = invariants.check(resource, warnings=True)
    monkeypatch.setattr(invariants, "surely", lambda text, type: lambda value: False)
    invariants._plan.cache_clear(), invariants._rules.cache_clear()
    try:
        assert invariants.check(resource, warnings=True) == found
    finally:
        invariants._plan.cache_clear(), invariants._rules.cache_clear()


SOME = {"status": "final", "valueString": "a", "note": [{"text": "a"}], "_issued": {"id": "a"}, "component": [{}]}


@pytest.mark.parametrize("text, told", [
    ("status.exists()", True), ("value.exists()", True), ("issued.exists()", True), ("focus.exists()", False), ("focus.empty()", True), ("status.empty()", False), ("status.empty().not()", True),
    ("status.exists().not()", False), ("focus.exists().not()", True), ("Observation.focus.exists()", False), ("Observation.focus.empty()", True), ("focus.matches('a')", True), ("focus", True), ("status", False),
    ("focus.where(display = 'a').first().exists().not()", True), ("note.where(text = 'a').exists()", False), ("note.text.exists()", False), ("focus.all(display = 'a')", True), ("note.all(text = 'a')", False),
    ("focus.display.isDistinct()", True), ("focus.count() = 0", False), ("focus.count().empty()", False), ("status.hasValue()", True), ("issued.hasValue()", False), ("focus.hasValue().not()", True),
    ("status = 'final'", True), ("status = 'x'", False), ("status != 'x'", True), ("issued = 'x'", False), ("focus.display = 'x'", True), ("status = code", True), ("effective <= issued", True),
    ("status.startsWith('fi')", True), ("status.startsWith('x')", False), ("status.startsWith('x').not()", True), ("value.startsWith('a')", False), ("focus.exists() or status.exists()", True),
    ("focus.exists() and status.exists()", False), ("note.exists() and status.exists()", True), ("focus.exists() implies nonsense.exists()", True), ("status.exists() implies focus.exists()", False),
    ("status.exists() implies note.exists()", True), ("status.exists() xor focus.exists()", True), ("status.exists() xor note.exists()", False), ("nonsense.exists()", False), ("nonsense.empty()", False),
    ("descendants().empty()", False), ("%resource.focus.empty()", False), ("(focus.exists() or note.exists()).not()", False), ("(focus.exists() and note.exists()).not()", True), ("focus.exists() = true", False),
])
def test_what_properties_tell_of_an_expression(text, told):
    assert surely(text, "Observation")(SOME) is told
    if told:
        assert compile(text).holds({"resourceType": "Observation", **SOME}) is not False
