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


def bundle(type: str, *entries: dict, **more) -> dict:
    return {"resourceType": "Bundle", "type": type, **({"entry": [*entries]} if entries else {}), **more}


def dosed(**repeat) -> dict:
    return {**DONE, "effectiveTiming": {"repeat": repeat}}


def resource(kind: str, /, **content) -> dict:
    return {"resourceType": kind, **content}


BASIC, ASKED = {"resource": {"resourceType": "Basic", "code": {"text": "a"}}}, {"request": {"method": "GET", "url": "Patient"}}
ANSWERED, WHO = {"response": {"status": "200"}}, {"display": "a"}
COMPOSITION = {"resource": {"resourceType": "Composition", "status": "final", "type": {"text": "a"}, "date": "2020", "author": [WHO], "title": "a"}}
NAMED = {"identifier": {"system": "urn:s", "value": "a"}, "timestamp": "2020-01-01T00:00:00Z"}
VISIT, BOTH = {"resourceType": "Appointment", "status": "proposed", "participant": [{"actor": WHO, "status": "accepted"}]}, {"start": "2020-01-01T00:00:00Z", "end": "2020-01-01T01:00:00Z"}
CONSENT = {"resourceType": "Consent", "status": "active", "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]}, "category": [{"text": "a"}]}
WRONG = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "entered-in-error"}]}
ACTIVE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}
SET = {"resourceType": "ValueSet", "status": "draft"}
PAIRS = [
    ("ext-1", resource("Patient", extension=[{"url": "urn:e"}]), resource("Patient", extension=[{"url": "urn:e", "extension": [{"url": "a", "valueString": "b"}]}])),
    ("dom-5", resource("Patient", managingOrganization={"reference": "#o"}, contained=[{"resourceType": "Organization", "id": "o", "name": "a", "meta": {"security": [{"code": "R"}]}}]),
     resource("Patient", managingOrganization={"reference": "#o"}, contained=[{"resourceType": "Organization", "id": "o", "name": "a", "meta": {"tag": [{"code": "R"}]}}])),
    ("con-5", resource("Condition", subject=WHO, verificationStatus=WRONG, clinicalStatus=ACTIVE), resource("Condition", subject=WHO, verificationStatus=WRONG)),
    ("con-1", resource("Condition", subject=WHO, stage=[{"type": {"text": "a"}}]), resource("Condition", subject=WHO, stage=[{"summary": {"text": "a"}}])),
    ("con-2", resource("Condition", subject=WHO, evidence=[{"id": "a", "extension": [{"url": "urn:e", "valueString": "a"}]}]), resource("Condition", subject=WHO, evidence=[{"detail": [WHO]}])),
    ("app-3", {**VISIT, "status": "booked"}, VISIT), ("app-4", {**VISIT, "cancelationReason": {"text": "a"}}, {**VISIT, "status": "cancelled", "cancelationReason": {"text": "a"}}),
    ("app-2", {**VISIT, "end": "2020-01-01T00:00:00Z"}, {**VISIT, **BOTH}),
    ("apr-1", resource("AppointmentResponse", appointment=WHO, participantStatus="accepted"), resource("AppointmentResponse", appointment=WHO, participantStatus="accepted", actor=WHO)),
    ("bdl-2", bundle("collection", {**BASIC, "search": {"mode": "match"}}), bundle("searchset", {**BASIC, "search": {"mode": "match"}})), ("bdl-3", bundle("batch", BASIC), bundle("batch", {**BASIC, **ASKED})),
    ("bdl-3", bundle("collection", {**BASIC, **ASKED}), bundle("collection", BASIC)), ("bdl-4", bundle("batch-response", BASIC), bundle("batch-response", ANSWERED)),
    ("bdl-8", bundle("collection", {**BASIC, "fullUrl": "http://x/Basic/1/_history/2"}), bundle("collection", {**BASIC, "fullUrl": "http://x/Basic/1"})),
    ("bdl-7", bundle("collection", *[{**BASIC, "fullUrl": "urn:a"}] * 2), bundle("collection", *({"fullUrl": "urn:a", "resource": {**BASIC["resource"], "meta": {"versionId": v}}} for v in "12"))),
    ("bdl-9", bundle("document", COMPOSITION, timestamp="2020-01-01T00:00:00Z"), bundle("document", COMPOSITION, **NAMED)), ("bdl-10", bundle("document", COMPOSITION, identifier=NAMED["identifier"]), bundle("document", COMPOSITION, **NAMED)),
    ("bdl-11", bundle("document", BASIC, **NAMED), bundle("document", COMPOSITION, BASIC, **NAMED)),
    ("bdl-12", bundle("message", BASIC), bundle("message", {"resource": {"resourceType": "MessageHeader", "eventUri": "urn:e", "source": {"endpoint": "urn:x"}}})),
    ("cmp-1", {**COMPOSITION["resource"], "section": [{"title": "a"}]}, {**COMPOSITION["resource"], "section": [{"entry": [WHO]}]}),
    ("cmp-2", {**COMPOSITION["resource"], "section": [{"entry": [WHO], "emptyReason": {"text": "a"}}]}, {**COMPOSITION["resource"], "section": [{"text": {"status": "empty", "div": XHTML}, "emptyReason": {"text": "a"}}]}),
    ("cpl-3", *(resource("CarePlan", status="draft", intent="plan", subject=WHO, activity=[a]) for a in ({"reference": WHO, "detail": {"status": "scheduled"}}, {"reference": WHO}))),
    ("ppc-1", CONSENT, {**CONSENT, "policyRule": {"text": "a"}}), ("ppc-4", *({**CONSENT, "policyRule": {"text": "a"}, "scope": {"coding": [{"system": "something", "code": "adr"}]}, **more} for more in ({}, {"patient": WHO}))),
    ("imr-1", *(resource("ImmunizationRecommendation", patient=WHO, date="2020", recommendation=[{"forecastStatus": {"text": "a"}, **more}]) for more in ({}, {"vaccineCode": [{"text": "a"}]}))),
    ("sev-1", *(resource("AuditEvent", type={"code": "rest"}, recorded="2020-01-01T00:00:00Z", agent=[{"requestor": True}], source={"observer": WHO}, entity=[e]) for e in ({"name": "a", "query": "YQ=="}, {"query": "YQ=="}))),
    ("tim-2", dosed(period=1), dosed(period=1, periodUnit="d")), ("tim-4", dosed(duration=-1, durationUnit="h"), dosed(duration=0, durationUnit="h")), ("tim-6", dosed(periodMax=1), dosed(period=1, periodMax=2, periodUnit="d")),
    ("tim-7", dosed(durationMax=1), dosed(duration=1, durationMax=2, durationUnit="h")), ("tim-8", dosed(countMax=1), dosed(count=1, countMax=2)), ("tim-9", dosed(offset=1), dosed(offset=1, when=["HS"])),
    ("tim-9", dosed(offset=1, when=["C"]), dosed(offset=1, when=["AC"])), ("tim-10", dosed(timeOfDay=["08:00:00"], when=["HS"]), dosed(timeOfDay=["08:00:00"])),
    ("vsd-1", {**SET, "compose": {"include": [{"version": "1"}]}}, {**SET, "compose": {"include": [{"system": "urn:s"}]}}),
    ("vsd-3", *({**SET, "compose": {"include": [{"system": "urn:s", "concept": [{"code": "a"}], **more}]}} for more in ({"filter": [{"property": "a", "op": "=", "value": "a"}]}, {}))),
    ("eld-2", *(resource("StructureDefinition", url="urn:a", name="A", status="draft", kind="logical", abstract=True, type="A", differential={"element": [{"id": "A", "path": "A", "min": 2, "max": most}]}) for most in ("1", "2"))),
    ("rng-2", *({**DONE, "valueRange": {"low": {"value": low}, "high": {"value": 5.0}}} for low in (5.01, 5))), ("per-1", *({**DONE, "effectivePeriod": {"start": start, "end": "2020-01-02"}} for start in ("2020-01-03", "2020-01"))),
    ("mdd-1", *(resource("MedicationDispense", status="completed", medicationReference=WHO, whenPrepared="2020-01-01T10:00:00+08:00", whenHandedOver=at) for at in ("2020-01-01T01:59:59Z", "2020-01-01T02:00:00Z"))),
    ("lst-1", *(resource("List", status="current", mode="working", entry=[{"item": WHO}], **more) for more in ({"emptyReason": {"text": "a"}}, {}))),
    ("lst-2", *(resource("List", status="current", mode=mode, entry=[{"item": WHO, "deleted": True}]) for mode in ("working", "changes"))),
]
"""Key, what breaks it, and what does not."""


def read(resource: dict) -> dict:
    """The resource as it is when it was sent: numbers keep their text."""
    return json.loads(json.dumps(resource))


@pytest.mark.parametrize("resource, key, place", BROKEN, ids=lambda x: x if isinstance(x, str) else None)
def test_a_broken_invariant_is_named_with_its_place(resource, key, place):
    found = [(i.text.partition(":")[0], i.expression, i.severity, i.code) for i in invariants.check(read(resource))]
    assert found.count((key, place, "error", "invariant")) == 1


@pytest.mark.parametrize("key, broken, kept", PAIRS, ids=lambda x: x if isinstance(x, str) else "")
def test_an_invariant_is_broken_by_one_and_kept_by_the_other(key, broken, kept):
    told = [[i.text.partition(":")[0] for i in invariants.check(read(each))] for each in (broken, kept)]
    assert key in told[0] and key not in told[1]


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
        plan = invariants.plan(type)
        found |= {(r.key, r.expression.text): type for r in plan.rules}
        found |= {(r.key, r.expression.text): kind for kind, rules in plan.children.values() for r in rules}
    return found


def test_many_contained_resources_are_judged_in_bounded_work():
    """What an invariant asks of the whole resource is found once, not once for each of its parts."""
    many = [f"o{n}" for n in range(1000)]
    listed = resource("List", status="current", mode="working", entry=[{"item": {"reference": f"#{id}"}} for id in many], contained=[{"resourceType": "Organization", "id": id, "name": "a"} for id in many])
    assert invariants.check(read(listed)) == []
    listed["entry"].pop()
    assert [(i.text[:5], i.expression) for i in invariants.check(read(listed))] == [("dom-3", "List")]


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
    invariants.plan.cache_clear(), invariants._rules.cache_clear()
    try:
        assert invariants.check(resource, warnings=True) == found
    finally:
        invariants.plan.cache_clear(), invariants._rules.cache_clear()


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
