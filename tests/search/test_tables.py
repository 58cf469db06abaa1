"""What the tables of the search page say, of values on the edge; each answer also page by page to its end. http://hl7.org/fhir/R4/search.html"""
from __future__ import annotations

import pytest

from app.fhir import json
from tests.search.shelf import NOW, search

UCUM, S, T = "http://unitsofmeasure.org", "urn:s", "urn:t"


def ref(text: str) -> dict:
    return {"reference": text}


def coded(*pairs: tuple[str | None, str], **more) -> dict:
    return {"coding": [{"code": code, **({"system": system} if system else {})} for system, code in pairs], **more}


def observation(id: str, *codes, **more) -> dict:
    return {"resourceType": "Observation", "id": id, "status": "final", "code": coded(*(codes or [(S, "x")])), **more}


def quantity(value: str, unit: str = "mg", system: str | None = UCUM, **more) -> dict:
    return {"value": json.Number(value), "unit": unit, **({"system": system, "code": unit} if system else {}), **more}


def part(code: str, value: str, unit: str = "mg") -> dict:
    return {"code": coded((S, code)), "valueQuantity": quantity(value, unit)}


def named(id: str, name: dict, **more) -> dict:
    return {"resourceType": "Patient", "id": id, "name": [name], **more}


RESOURCES = [
    named("ou", {"text": "欧阳修", "family": "欧阳", "given": ["修"]}, telecom=[{"system": "phone", "value": "13800"}, {"system": "email", "value": "Ou@x.cn"}]),
    named("wide", {"family": "ＡＢＣ", "given": ["Ｄｅｆ"]}, deceasedDateTime="2024-05"), named("accent", {"family": "Ångström", "given": ["Zoë"]}, deceasedBoolean=False),
    named("sharp", {"family": "Weiß", "given": ["İpek"]}), named("hyphen", {"family": "Lee-Wong", "given": ["O'Neil, Jr"]}), named("li", {"family": "李", "given": ["小龙"]}, birthDate="1940-11"),
    named("rare", {"text": "𠮷田"}, birthDate="1940-11-27"), {"resourceType": "Patient", "id": "unnamed", "birthDate": "1941"},
    {"resourceType": "Patient", "id": "ids", "identifier": [{"system": S, "value": "1"}, {"system": T, "value": "2"}, {"value": "a|b"}, {"system": S, "value": "c,d"}, {"value": "e\\f"}, {"value": "g$h"}], "birthDate": "1941-02-28"},
    observation("two", (S, "a"), (T, "b")), observation("one", (S, "a")), observation("bare", (None, "a")), observation("texted", code=coded(text="Blutdruck hoch")),
    observation("bp", component=[part("sys", "120"), part("dia", "80")]), observation("pb", component=[part("sys", "80"), part("dia", "120")]),
    observation("degree", valueQuantity=quantity("37", "Cel")), observation("fever", valueQuantity=quantity("104", "[degF]")), observation("gram", valueQuantity=quantity("0.5", "g")), observation("milli", valueQuantity=quantity("500.4")),
    observation("plain", valueQuantity=quantity("500", "mg", None)), observation("pct", valueQuantity=quantity("-5", "%")), observation("atleast", valueQuantity=quantity("600", comparator=">=")), observation("strange", valueQuantity=quantity("500", "mg", "urn:units")),
    observation("ratio", valueString="Straße"), observation("words", valueString="blood pressure, high"),
    observation("held", subject=ref("#p"), contained=[named("p", {"family": "司马", "given": ["光"]}, identifier=[{"system": S, "value": "77"}], birthDate="1019")]),
    observation("sent", subject=ref("Patient/ou")), observation("gone", subject=ref("Patient/nobody")), observation("away", subject=ref("http://elsewhere.org/fhir/Patient/ou")), observation("old", subject=ref("Patient/li/_history/2")),
    {"resourceType": "DiagnosticReport", "id": "rep", "status": "final", "code": coded((S, "r")), "result": [ref("Observation/sent"), ref("#o")], "contained": [observation("o", (S, "in"), subject=ref("#p")), named("p", {"family": "苏", "given": ["轼"]})]},
    {"resourceType": "DiagnosticReport", "id": "rep2", "status": "final", "code": coded((S, "r")), "result": [ref("Observation/held")]},
    {"resourceType": "Organization", "id": "top", "name": "总院"}, {"resourceType": "Organization", "id": "mid", "name": "分院", "partOf": ref("Organization/top")}, {"resourceType": "Organization", "id": "low", "name": "科室", "partOf": ref("Organization/mid")},
    {"resourceType": "ValueSet", "id": "v1", "status": "active", "url": "http://acme.org/fhir/ValueSet/1", "version": "1"}, {"resourceType": "ValueSet", "id": "v12", "status": "active", "url": "http://acme.org/fhir/ValueSet/12"},
    {"resourceType": "ValueSet", "id": "v1x", "status": "active", "url": "http://acme.org/fhir/ValueSet/1/x"}, {"resourceType": "ValueSet", "id": "urn", "status": "draft", "url": "urn:oid:1.2"},
    {"resourceType": "RiskAssessment", "id": "r0", "status": "final", "subject": ref("Patient/ou"), "prediction": [{"probabilityDecimal": json.Number("0")}]},
    {"resourceType": "RiskAssessment", "id": "r-", "status": "final", "subject": ref("Patient/ou"), "prediction": [{"probabilityDecimal": json.Number("-0.25")}, {"probabilityDecimal": json.Number("0.25")}]},
    {"resourceType": "RiskAssessment", "id": "rr", "status": "final", "subject": ref("Patient/li"), "prediction": [{"probabilityRange": {"low": {"value": 1}, "high": {"value": 3}}}]},
    {"resourceType": "List", "id": "l", "status": "current", "mode": "working", "entry": [{"item": ref("Patient/ou")}, {"item": ref("Observation/sent/_history/1")}]},
]

OBSERVATIONS = "two one bare texted bp pb degree fever gram milli plain pct atleast strange ratio words held sent gone away old"
TABLES = {
    "string": [
        ("Patient?name=欧", "ou"), ("Patient?name=欧阳", "ou"), ("Patient?name=阳", ""), ("Patient?name:contains=阳", "ou"), ("Patient?name:contains=阳修", "ou"), ("Patient?name=李小", "li"), ("Patient?name:contains=小龙", "li"), ("Patient?name=𠮷", "rare"), ("Patient?name:contains=田", "rare"),
        ("Patient?family=abc", "wide"), ("Patient?family=ＡＢ", "wide"), ("Patient?given=DEF", "wide"), ("Patient?family:exact=ABC", ""), ("Patient?family:exact=ＡＢＣ", "wide"), ("Patient?family=angstrom", "accent"), ("Patient?family=ÅNG", "accent"), ("Patient?given=zoe", "accent"),
        ("Patient?given:exact=Zoe", ""), ("Patient?family=weiss", "sharp"), ("Patient?family=WEISS", "sharp"), ("Patient?family=weiß", "sharp"), ("Patient?given=ipek", "sharp"), ("Patient?family=wong", "hyphen"), ("Patient?family=lee-w", "hyphen"), (r"Patient?given=o'neil\, jr", "hyphen"),
        ("Patient?given=oneil", "hyphen"), ("Patient?name:contains=ong", "hyphen"), ("Patient?name=x,欧,李", "li ou"), ("Patient?name:missing=true", "ids unnamed"), ("Observation?value-string=strasse", "ratio"), ("Observation?value-string=STRASSE", "ratio"), (r"Observation?value-string=blood pressure\, hi", "words"),
        ("Observation?value-string:contains=essure", "words"), ("Observation?value-string:exact=Straße", "ratio")],
    "token": [
        ("Patient?identifier=urn:s|1", "ids"), ("Patient?identifier=urn:t|1", ""), ("Patient?identifier=|1", ""), ("Patient?identifier=1,zz", "ids"), (r"Patient?identifier=a\|b", "ids"), (r"Patient?identifier=|a\|b", "ids"), ("Patient?identifier=a|b", ""), (r"Patient?identifier=urn:s|c\,d", "ids"),
        ("Patient?identifier=urn:s|c,d", ""), (r"Patient?identifier=e\\f", "ids"), (r"Patient?identifier=g\$h", "ids"), ("Patient?identifier=g$h", "ids"), ("Patient?identifier:not=1&name:missing=true", "unnamed"), ("Patient?phone=13800", "ou"), ("Patient?email=13800", ""), ("Patient?telecom=13800", "ou"),
        ("Observation?code=urn:s|a", "one two"), ("Observation?code=urn:t|a", ""), ("Observation?code=a", "bare one two"), ("Observation?code=|a", "bare"), ("Observation?code=urn:t|", "two"), ("Observation?code=A", ""), ("Observation?code=b,a", "bare one two"), ("Observation?code=a&code=b", "two"),
        ("Observation?code:not=a&code:not=x", "texted"), ("Observation?code:not=b", " ".join(o for o in OBSERVATIONS.split() if o != "two")), ("Observation?code:not=a,x", "texted"), ("Observation?code:text=blut", "texted"), ("Observation?code:text=druck", ""), ("Observation?code:missing=true", ""),
        ("Patient?deceased=true", "wide"), ("Patient?deceased=false", "accent hyphen ids li ou rare sharp unnamed"), ("Patient?deceased:missing=false", "accent hyphen ids li ou rare sharp unnamed wide")],
    "date": [
        ("Patient?birthdate=1940-11", "li rare"), ("Patient?birthdate=1940-11-27", "rare"), ("Patient?birthdate=ap1940-11-27", "ids li rare unnamed"), ("Patient?birthdate=sa1940-11-27", "ids unnamed"), ("Patient?birthdate=eb1940-11-27", ""), ("Patient?birthdate=eb1941", "li rare"), ("Patient?birthdate=ne1940-11-27", "ids li unnamed"),
        ("Patient?birthdate=gt1940-11-27", "ids li unnamed"), ("Patient?birthdate=lt1940-11-27", "li"), ("Patient?birthdate=le1940-11-27", "li rare"), ("Patient?birthdate=1941,1940-11-27", "ids rare unnamed"), ("Patient?birthdate=ge1941,eb1940-12", "ids li rare unnamed"), ("Patient?birthdate:missing=false&birthdate=ne1941", "li rare"),
        ("Patient?death-date=2024-05", "wide"), ("Patient?death-date=2024-05-01", ""), ("Patient?death-date=ap2024-05-01", "wide")],
    "number": [
        ("RiskAssessment?probability=0", "r- r0"), ("RiskAssessment?probability=0.0", "r0"), ("RiskAssessment?probability=-0.25", "r-"), ("RiskAssessment?probability=lt0", "r-"), ("RiskAssessment?probability=gt0", "r- rr"), ("RiskAssessment?probability=ge1", "rr"), ("RiskAssessment?probability=sa1", ""), ("RiskAssessment?probability=sa0.5", "rr"),
        ("RiskAssessment?probability=ap2", "rr"), ("RiskAssessment?probability=2", ""), ("RiskAssessment?probability=ne0.25", "r- r0 rr"), ("RiskAssessment?probability=eb0,sa0.9", "r- rr"), ("RiskAssessment?probability=1e-1", ""), ("RiskAssessment?probability=2.5e-1", "r-"), ("RiskAssessment?probability=25e-2", "r-"), ("RiskAssessment?probability=.25", "r-")],
    "quantity": [
        (f"Observation?value-quantity=500|{UCUM}|mg", "gram milli"), (f"Observation?value-quantity=0.5|{UCUM}|g", "gram milli"), (f"Observation?value-quantity=500.4|{UCUM}|mg", "milli"), (f"Observation?value-quantity=98.6|{UCUM}|[degF]", "degree"), (f"Observation?value-quantity=40|{UCUM}|Cel", "fever"), (f"Observation?value-quantity=310.15|{UCUM}|K", "degree"),
        ("Observation?value-quantity=500||mg", "milli plain strange"), ("Observation?value-quantity=500", "milli plain strange"), ("Observation?value-quantity=500|urn:units|mg", "strange"), ("Observation?value-quantity=-5", "pct"), (f"Observation?value-quantity=lt0|{UCUM}|%", "pct"), (f"Observation?value-quantity=ge600|{UCUM}|mg", "atleast"), (f"Observation?value-quantity=gt5|{UCUM}|kg", "atleast"),
        (f"Observation?value-quantity=lt5|{UCUM}|kg", "atleast gram milli"), (f"Observation?value-quantity=eb5|{UCUM}|kg", "gram milli"), (f"Observation?value-quantity=lt1|{UCUM}|m", ""), (f"Observation?value-quantity=40|{UCUM}|Cel,500.4|{UCUM}|mg", "fever milli"), (f"Observation?value-quantity=ne500|{UCUM}|mg", "atleast"), (f"Observation?value-quantity=ap480|{UCUM}|mg", "gram milli")],
    "composite": [
        ("Observation?component-code-value-quantity=urn:s|sys$gt100", "bp"), ("Observation?component-code-value-quantity=urn:s|sys$80", "pb"), ("Observation?component-code-value-quantity=sys$120,sys$80", "bp pb"), ("Observation?component-code-value-quantity=sys$120&component-code-value-quantity=dia$80", "bp"),
        ("Observation?component-code-value-quantity=sys$80&component-code-value-quantity=dia$80", ""), (f"Observation?component-code-value-quantity=dia$0.08|{UCUM}|g", "bp"), (f"Observation?combo-code-value-quantity=x$500|{UCUM}|mg", "gram milli"), ("Observation?code-value-string=urn:s|x$stra", "ratio"), (r"Observation?code-value-string=x$blood pressure\, high", "words")],
    "reference": [
        ("Observation?subject=Patient/ou", "sent"), ("Observation?subject=http://test/fhir/Patient/ou", "sent"), ("Observation?subject=http://elsewhere.org/fhir/Patient/ou", "away"), ("Observation?subject=Patient/li", "old"), ("Observation?subject=Patient/li/_history/2", "old"), ("Observation?subject=Patient/li/_history/1", ""), ("Observation?subject=Patient/nobody", "gone"),
        ("Observation?subject:Group=ou", ""), ("Observation?subject:missing=false", "away gone held old sent"), ("Observation?patient=ou,li", "old sent"), ("Organization?partof=top", "mid"), ("Organization?partof:missing=true", "top")],
    "uri": [
        ("ValueSet?url=http://acme.org/fhir/ValueSet/1", "v1"), ("ValueSet?url:below=http://acme.org/fhir/ValueSet/1/", "v1x"), ("ValueSet?url:above=http://acme.org/fhir/ValueSet/1/x/y", "v1 v1x"), ("ValueSet?url:above=http://acme.org/fhir/ValueSet/12", "v12"), ("ValueSet?url=http://acme.org/fhir/ValueSet/1,urn:oid:1.2", "urn v1"), ("ValueSet?url:below=http://acme.org/", "v1 v12 v1x")],
    "chains": [
        ("Observation?subject.name=欧", "sent"), ("Observation?subject.name=司马", "held"), ("Observation?subject:Patient.name:contains=马", "held"), ("Observation?subject:Patient.family:contains=阳", "sent"), ("Observation?subject:Patient._content=司马", "held"), ("Observation?subject:Patient._text=司马", ""), ("Observation?subject:Patient.name=司马,李", "held old"), ("Observation?subject:Patient.identifier=urn:s|77", "held"),
        ("Observation?subject:Patient.identifier:not=urn:s|77", "old sent"), ("Observation?subject:Patient.name:missing=false", "held old sent"), ("Observation?subject:Patient.birthdate=lt1900", "held"), ("Observation?subject:Patient._id=p", ""), ("DiagnosticReport?result.subject:Patient.name=苏", "rep"), ("DiagnosticReport?result.subject:Patient.name=司马", "rep2"), ("DiagnosticReport?result.code=in", "rep"),
        ("DiagnosticReport?result.subject:Patient.name:contains=阳", "rep"), ("DiagnosticReport?result.subject:Patient.name:contains=轼", "rep"), ("DiagnosticReport?result.subject:Patient.name:exact=光", "rep2"), ('Observation?_filter=subject:Patient.family co "马"', "held"), ('Observation?_filter=subject:Patient.family ew "马"', "held"), ('DiagnosticReport?_filter=result.subject:Patient.family sw "苏"', "rep"),
        ("Organization?partof.partof.name=总", "low"), ("Organization?_has:Organization:partof:name=科", "mid"), ("Organization?_has:Organization:partof:_has:Organization:partof:name=科", "top"), ("Patient?_has:Observation:subject:status=final", "li ou"), ("Patient?_has:Observation:patient:_has:DiagnosticReport:result:code=r", "ou"), ("Patient?_has:RiskAssessment:subject:probability=lt0", "ou"),
        ("Patient?_has:Observation:patient:_id=sent,old", "li ou"), ("Patient?_list=l", "ou"), ("?_list=l", "ou sent"), ("Observation?patient._list=l", "sent"), ("Patient?_has:List:item:_id=l", "ou")],
}


ORDERS = [
    ("Patient?_sort=birthdate", "li rare unnamed ids ou wide accent sharp hyphen"), ("Patient?_sort=-birthdate", "ids unnamed rare li hyphen sharp accent wide ou"), ("Patient?_sort=birthdate,-_id", "li rare unnamed ids wide sharp ou hyphen accent"),
    ("Patient?_sort=family,_id", "wide accent hyphen sharp li ou ids rare unnamed"), ("Patient?_sort=-family", "ou li sharp hyphen accent wide ids unnamed rare"), ("Patient?_sort=deceased,_id", "accent hyphen ids li ou rare sharp unnamed wide"), ("Patient?_sort=identifier,_id", "ids accent hyphen li ou rare sharp unnamed wide"),
    ("RiskAssessment?_sort=probability", "r- r0 rr"), ("RiskAssessment?_sort=-probability", "rr r- r0"), ("RiskAssessment?_sort=subject,-probability", "rr r- r0"), ("Observation?value-quantity=gt36&_sort=value-quantity,_id", "degree fever plain strange milli atleast"),
    ("ValueSet?_sort=-url", "urn v12 v1x v1"), ("ValueSet?_sort=version,_id", "v1 urn v12 v1x"), ("ValueSet?_sort=-_id", "v1x v12 v1 urn"), ("Patient?birthdate=gt1940-11-27", "ids unnamed li"), ("Patient?birthdate=gt1940-11-27&_sort=_id", "ids li unnamed"), ("Organization", "low mid top"),
]
"""Searches and what they find, in order: what has no value last whichever way, ties by entry in the last key's direction."""


async def pages(shelf, query, limit: int) -> list[str]:
    """The ids that pages of so many give, to the last one."""
    at, found, after = await shelf.store.newest(), [], None
    while page := await shelf.store.search(query, at=at, now=NOW, limit=limit, after=after):
        found, after = [*found, *(f.entry.id for f in page)], page[-1].place
    return found


def test_there_are_many():
    assert sum(map(len, TABLES.values())) > 170


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("text, ids", [pair for pairs in TABLES.values() for pair in pairs])
async def test_a_value_finds_what_the_tables_say(shelf, text, ids):
    assert await shelf.ids(text) == sorted(ids.split())
    query = search(text).query
    assert await pages(shelf, query, 2) == await shelf.find(query)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("text, ids", ORDERS)
async def test_what_is_found_has_its_order(shelf, text, ids):
    query = search(text).query
    assert await shelf.find(query) == ids.split()
    for limit in (1, 3):
        assert await pages(shelf, query, limit) == ids.split()
