"""Invented patients, and their mothers where they are newborn. https://hl7.org/fhir/R4/patient.html"""
from __future__ import annotations

from datetime import date, timedelta
from random import Random

from app.demo import names
from app.demo.registry import BASE, claims, coded, ref

PLATEAU = ("plateau", "township", "tibetan")


def patient(chance: Random, member: dict, case: dict, number: int, day: date, regions: dict) -> tuple[dict, str]:
    """A Patient of a member, and its sex; a newborn is born the day before, has no number and a temporary name after its mother."""
    sex = case.get("sex") or chance.choice(("male", "female"))
    low, high = case["age"]
    born = day - timedelta(days=1) if high == 0 else names.birth(chance, _years(day, low), _years(day, high + 1))
    nation, name = _named(chance, member, sex)
    own = high > 0
    identifier = [{"use": "usual", "type": coded("http://terminology.hl7.org/CodeSystem/v2-0203", "MR", "Medical record number"),
                   "system": f"{BASE}/sid/{member['id']}/mrn", "value": f"{700000 + number}"}]
    if own:
        identifier.append({"use": "official", "type": coded("http://terminology.hl7.org/CodeSystem/v2-0203", "NI", "National unique individual identifier"),
                           "system": "urn:oid:2.16.156.10011.1.3", "value": names.card(chance, member["region"], born, sex)})
    province, district, postal = regions[member["region"]]
    made = {
        "resourceType": "Patient", "id": f"{member['id']}-patient-{number}", **claims("alliance-patient"),
        "extension": [{"url": f"{BASE}/StructureDefinition/ethnic-group", "valueString": nation}], "identifier": identifier, "active": True,
        "name": [_name(name, sex, own)], "telecom": [{"system": "phone", "value": names.phone(chance), "use": "mobile" if own else "home"}],
        "gender": sex, "birthDate": born.isoformat(),
        "address": [{"use": "home", "text": f"{province}{district}{names.street(chance)}", "state": province, "district": district, "postalCode": postal, "country": "CN"}],
        "managingOrganization": ref("Organization", member["id"]),
    }
    if high < 14:
        made["contact"] = [{"relationship": [coded("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "NMTH" if not own else "MTH", "mother")],
                            "name": {"text": name if not own else names.name(chance, "female")}, "gender": "female"}]
    if not own:
        made["multipleBirthBoolean"] = False
    return made, sex


def mother(baby: dict, number: int, member: dict) -> dict:
    """The RelatedPerson of a newborn."""
    return {"resourceType": "RelatedPerson", "id": f"{member['id']}-mother-{number}", "active": True, "patient": ref("Patient", baby["id"]),
            "relationship": [coded("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "NMTH", "natural mother")],
            "name": [{"use": "official", "text": baby["contact"][0]["name"]["text"]}], "gender": "female"}


def _years(day: date, years: int) -> date:
    return day.replace(year=day.year - years, day=min(day.day, 28))


def _named(chance: Random, member: dict, sex: str) -> tuple[str, str]:
    if chance.random() < (0.6 if member["kind"] in PLATEAU else 0.02):
        nation, _, name = chance.choice([one for one in names.MINORITY if one[1] == sex])
        return nation, name
    return "汉族", names.name(chance, sex)


def _name(name: str, sex: str, own: bool) -> dict:
    if not own:
        return {"use": "temp", "text": name + ("之子" if sex == "male" else "之女")}
    if "·" in name:
        return {"use": "official", "text": name}
    family = next((double for double in names.DOUBLE if name.startswith(double)), name[0])
    return {"use": "official", "text": name, "family": family, "given": [name[len(family):]]}
