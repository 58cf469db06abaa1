"""The alliance's registry as FHIR: organisations, memberships, places, services, people who work there, endpoints.

IHE mCSD: https://profiles.ihe.net/ITI/mCSD; memberships as https://hl7.org/fhir/R4/organizationaffiliation.html
"""
from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from random import Random

import yaml

from app.demo import names
from app.mapping.chinese import credit_check, organization_check

BASE = "https://yilian.example/fhir"
FACILITY = {"coding": [{"system": "urn:ietf:rfc:3986", "code": "urn:ihe:iti:mcsd:2019:facility", "display": "Facility"}]}
LICENSED = ("general", "cancer")
"""Kinds of hospital whose first doctor may transfer patients in the cancer union."""


def plan(name: str) -> dict:
    """A data file of this folder."""
    return yaml.safe_load(resources.files("app.demo").joinpath(name).read_text(encoding="utf-8"))


def ref(type: str, id: str) -> dict:
    return {"reference": f"{type}/{id}"}


def coded(system: str, code: str, display: str) -> dict:
    """A CodeableConcept of one coding; a system without a scheme is one of ours."""
    return {"coding": [{"system": system if ":" in system else f"{BASE}/CodeSystem/{system}", "code": code, "display": display}], "text": display}


def claims(profile: str) -> dict:
    """The meta of a resource that is as a profile says; a name without a scheme is one of ours."""
    return {"meta": {"profile": [profile if ":" in profile else f"{BASE}/StructureDefinition/{profile}"]}}


def registry(held: dict, chance: Random) -> Iterator[tuple[str, dict]]:
    """(id of the organisation that writes it, resource) of all that the registry holds, organisations first."""
    for number, member in enumerate(held["members"], 1):
        yield member["id"], organization(member, number, held["regions"])
    for network in held["networks"]:
        yield from alliance(network)
    for member in held["members"]:
        yield from ((member["id"], resource) for resource in (*places(member, held), *staff(member, held, chance)))
    yield from visiting(held)


def organization(member: dict, number: int, regions: dict) -> dict:
    """A hospital or centre, its social credit code made up (organisation code DEM...) with valid check characters."""
    body = f"DEM{number:05d}"
    first = f"12{member['region']}{body}{organization_check(body)}"
    return {
        "resourceType": "Organization", "id": member["id"],
        "extension": [{"url": f"{BASE}/StructureDefinition/hospital-level", "valueCoding": {"system": f"{BASE}/CodeSystem/hospital-level", "code": member["level"]}}],
        "identifier": [{"use": "official", "type": coded("identifier-type", "USCC", "统一社会信用代码"), "system": f"{BASE}/sid/uscc", "value": first + credit_check(first)}],
        "active": True,
        "type": [FACILITY, coded("http://terminology.hl7.org/CodeSystem/organization-type", "prov", "Healthcare Provider"),
                 coded("ws218-organization-class", member["class"], CLASSES[member["class"]])],
        "name": member["name"], "telecom": [{"system": "phone", "value": f"000-0000{number:04d}", "use": "work"}], "address": [address(member, regions)],
    }


CLASSES = {"A100": "综合医院", "A210": "中医医院", "A300": "中西医结合医院", "A412": "藏医院", "A514": "肿瘤医院", "A519": "儿童医院", "B100": "社区卫生服务中心",
           "C210": "中心卫生院", "C220": "乡卫生院", "G100": "妇幼保健院"}


def address(member: dict, regions: dict) -> dict:
    province, district, postal = regions[member["region"]]
    return {"use": "work", "text": f"{province}{district}", "state": province, "district": district, "postalCode": postal, "country": "CN",
            "extension": [{"url": f"{BASE}/StructureDefinition/division-code", "valueCode": member["region"]}]}


def alliance(network: dict) -> Iterator[tuple[str, dict]]:
    """The network as an Organization, and each membership, all written by the lead."""
    lead, id = network["lead"], f"{network['lead']}-network-{network['id']}"
    yield lead, {"resourceType": "Organization", "id": id, "active": True, "type": [coded("organization-kind", "network", "医联体")],
                 "name": network["name"], "alias": [network["alias"]]}
    for member in network["members"]:
        member = member if isinstance(member, dict) else {"id": member}
        period = {"start": member.get("since", network["since"])} | ({"end": member["until"]} if "until" in member else {})
        role = member.get("role", "member")
        affiliation = {"resourceType": "OrganizationAffiliation", "id": f"{lead}-member-{network['id']}-{member['id']}",
                       "active": member.get("until", "9") > "2026-11", "period": period, "organization": ref("Organization", lead),
                       "participatingOrganization": ref("Organization", member["id"]), "network": [ref("Organization", id)],
                       "code": [coded("http://hl7.org/fhir/organization-role", "member", "Member")]}
        if role != "member":
            affiliation["code"].append(coded("alliance-role", role, {"aid": "对口支援", "community": "社区卫生服务", "township": "乡镇卫生院"}[role]))
        if "specialty" in network:
            affiliation["specialty"] = [coded("alliance-specialty", *network["specialty"])]
        yield lead, affiliation


def places(member: dict, held: dict) -> Iterator[dict]:
    """The site, a ward where there are beds, the services, and the endpoints of a member."""
    id, kind = member["id"], member["kind"]
    yield {"resourceType": "Location", "id": f"{id}-site", "status": "active", "name": member["name"], "mode": "instance", "type": [FACILITY],
           "physicalType": coded("http://terminology.hl7.org/CodeSystem/location-physical-type", "si", "Site"), "address": address(member, held["regions"]),
           "managingOrganization": ref("Organization", id)}
    if kind not in ("community", "township"):
        yield {"resourceType": "Location", "id": f"{id}-ward-1", "status": "active", "name": "一病区", "mode": "instance",
               "type": [coded("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "HU", "Hospital unit")],
               "physicalType": coded("http://terminology.hl7.org/CodeSystem/location-physical-type", "wa", "Ward"),
               "managingOrganization": ref("Organization", id), "partOf": ref("Location", f"{id}-site")}
    for code, name in held["services"][kind]:
        yield {"resourceType": "HealthcareService", "id": f"{id}-service-{code}", "active": True, "providedBy": ref("Organization", id),
               "type": [coded("rc023-department", code, name)], "name": name, "location": [ref("Location", f"{id}-site")], "appointmentRequired": True}
    for connection, payload in (("hl7-fhir-rest", "FHIR R4"), *((("dicom-wado-rs", "DICOM"),) if images(member) else ())):
        yield {"resourceType": "Endpoint", "id": f"{id}-endpoint-{connection}", "status": "active",
               "connectionType": {"system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type", "code": connection}, "name": f"{member['name']} {payload}",
               "managingOrganization": ref("Organization", id), "payloadType": [{"text": payload}],
               "address": f"https://{id}.example/{'dicomweb' if connection.startswith('dicom') else 'fhir'}"}


def images(member: dict) -> bool:
    """It has an imaging department, or a PACS of its own."""
    return member["kind"] in ("general", "cancer", "children", "plateau", "tcm")


def staff(member: dict, held: dict, chance: Random) -> Iterator[dict]:
    """Doctors and one nurse, each with a role here."""
    id = member["id"]
    departments = held["services"][member["kind"]]
    for number in range(1, 5):
        nurse, (code, name) = number == 4, departments[(number - 1) % len(departments)]
        sex = "female" if nurse else chance.choice(("male", "female"))
        person = names.name(chance, sex) if member["kind"] != "tibetan" or number > 2 else ("扎西·才让", "央金·拉姆")[number - 1]
        licence = f"{chance.randrange(10**14, 10**15)}"
        yield {"resourceType": "Practitioner", "id": f"{id}-practitioner-{number}", "active": True,
               "identifier": [{"system": f"{BASE}/sid/{id}/staff", "value": f"{1000 + number}"}, {"system": f"{BASE}/sid/licence", "value": licence}],
               "name": [{"use": "official", "text": person}], "gender": sex, "qualification": qualifications(member, number, licence, nurse)}
        yield {"resourceType": "PractitionerRole", "id": f"{id}-role-{number}", "active": True, "period": {"start": "2020-01-01"},
               "practitioner": ref("Practitioner", f"{id}-practitioner-{number}"), "organization": ref("Organization", id),
               "code": [coded("http://terminology.hl7.org/CodeSystem/practitioner-role", "nurse" if nurse else "doctor", "Nurse" if nurse else "Doctor")],
               "specialty": [coded("rc023-department", code, name)], "location": [ref("Location", f"{id}-site")],
               "healthcareService": [ref("HealthcareService", f"{id}-service-{code}")]}


def qualifications(member: dict, number: int, licence: str, nurse: bool) -> list[dict]:
    """The licence to practise; of the first doctor in the cancer union also the one to transfer patients, of one hospital run out."""
    held = [{"identifier": [{"system": f"{BASE}/sid/licence", "value": licence}],
             "code": coded("qualification", "nurse" if nurse else "physician", "护士执业证书" if nurse else "医师执业证书"), "period": {"start": "2015-07-01"}}]
    if member["kind"] in LICENSED and number == 1:
        held.append({"code": coded("qualification", "cancer-transfer", "肿瘤医联体转诊资质"), "issuer": ref("Organization", "fuscc"),
                     "period": {"start": "2024-01-01", "end": "2025-12-31" if member["id"] == "luodian" else "2028-12-31"}})
    return held


def visiting(held: dict) -> Iterator[tuple[str, dict]]:
    """Practice at several sites: a doctor of the lead works at the network's first member every other week."""
    for network in held["networks"]:
        first = network["members"][0]
        host = first if isinstance(first, str) else first["id"]
        yield host, {"resourceType": "PractitionerRole", "id": f"{host}-visiting-{network['id']}", "active": True, "period": {"start": "2025-01-01", "end": "2026-12-31"},
                     "practitioner": ref("Practitioner", f"{network['lead']}-practitioner-2"), "organization": ref("Organization", host),
                     "code": [coded("http://terminology.hl7.org/CodeSystem/practitioner-role", "doctor", "Doctor")], "location": [ref("Location", f"{host}-site")],
                     "availableTime": [{"daysOfWeek": ["wed"], "availableStartTime": "13:00:00", "availableEndTime": "17:00:00"}], "availabilityExceptions": "每两周一次"}
