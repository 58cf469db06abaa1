"""What happens to an invented patient: a visit, findings, an order with its images and report, and the referral with what came of it.

One story is coherent in time and subject: the visit, then the findings in it, the study after its order, the report after the study, the
referral after the report, and what the receiving hospital did after it accepted.
"""
from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from random import Random

from app.demo.people import mother, patient
from app.demo.registry import BASE, claims, coded, images, ref
from app.fhir.json import Number

ZONE = timezone(timedelta(hours=8))
START = date(2026, 1, 5)
DAYS = 290
STATES = ("completed", "requested", "accepted", "completed", "in-progress", "rejected", "completed")
ICD, LOINC, SNOMED = "http://hl7.org/fhir/sid/icd-10", "http://loinc.org", "http://snomed.info/sct"
GBT15657 = f"{BASE}/CodeSystem/gbt15657-2021"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
SIGNS = {"heart-rate": "heartrate", "temperature": "bodytemp", "saturation": "oxygensat", "blood-pressure": "bp"}
"""R4's profiles of the vital signs, by kind of finding."""
SOP = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4", "MG": "1.2.840.10008.5.1.4.1.1.1.2", "DX": "1.2.840.10008.5.1.4.1.1.1.1",
       "US": "1.2.840.10008.5.1.4.1.1.6.1"}


def stories(held: dict, cases: list[dict], chance: Random) -> Iterator[tuple[str, dict]]:
    """(id of the organisation that writes it, resource) of every story."""
    members, number = {member["id"]: member for member in held["members"]}, 0
    for case in cases:
        homes = [member for member in held["members"] if member["kind"] in case["home"] and _specialist(held, case, member)]
        for step in range(case["count"]):
            number += 1
            home = homes[step % len(homes)]
            yield from Story(held, case, home, members[_specialist(held, case, home)], number, step, chance).tell()


def _specialist(held: dict, case: dict, home: dict) -> str:
    """Where a case of this home is referred to; empty where the home belongs to no network with such a lead."""
    ids = [(network, one if isinstance(one, str) else one["id"], one) for network in held["networks"] for one in network["members"]]
    leads = [network["lead"] for network, id, one in ids if id == home["id"] and not (isinstance(one, dict) and one.get("until", "9") < "2026")]
    if case["specialist"] == "lead":
        return leads[0] if leads else ""
    return case["specialist"] if case["specialist"] in leads else ""


class Story:
    """One patient's story; `tell` gives its resources."""

    def __init__(self, held: dict, case: dict, home: dict, specialist: dict, number: int, step: int, chance: Random):
        self.held, self.case, self.home, self.specialist, self.number, self.step, self.chance = held, case, home, specialist, number, step, chance
        day = START + timedelta(days=chance.randrange(DAYS))
        self.start = datetime(day.year, day.month, day.day, 8, tzinfo=ZONE) + timedelta(minutes=chance.randrange(480))
        self.person, self.sex = patient(chance, home, case, number, day, held["regions"])
        self.subject = ref("Patient", self.person["id"])
        self.made: list[tuple[str, dict]] = []

    def tell(self) -> list[tuple[str, dict]]:
        self.add(self.home, self.person)
        if self.case["age"][1] == 0:
            self.add(self.home, mother(self.person, self.number, self.home))
        for visit in range(self.case.get("visits", 1)):
            earlier = self.start - timedelta(days=90 * (self.case.get("visits", 1) - 1 - visit))
            encounter, condition = self.visit(self.home, f"{visit + 1}", earlier, self.case["complaint"], "AMB" if self.case["age"][1] else "IMP", not visit)
            self.findings(encounter, earlier + timedelta(minutes=10), f"{visit + 1}")
        imaging = self.imaging(encounter, condition) if "imaging" in self.case else None
        if self.step % self.case.get("every", 1) == 0:
            self.referral(encounter, condition, imaging)
        return self.made

    def add(self, owner: dict, resource: dict) -> dict:
        """Keeps a resource of an owner, and gives the reference to it."""
        self.made.append((owner["id"], resource))
        return ref(resource["resourceType"], resource["id"])

    def id(self, owner: dict, kind: str) -> str:
        return f"{owner['id']}-{kind}-{self.number}"

    def doctor(self, owner: dict, which: int = 1) -> dict:
        return ref("Practitioner", f"{owner['id']}-practitioner-{which}")

    def visit(self, owner: dict, name: str, start: datetime, complaint: str, kind: str, first: bool, over: bool = True) -> tuple[dict, dict]:
        """An Encounter of an owner, and the Condition found in it (the first visit's, of later ones at the same place)."""
        code, text = self.case["condition"]
        condition_id = self.id(owner, "condition")
        condition = ref("Condition", condition_id)
        classes = {"AMB": "ambulatory", "IMP": "inpatient encounter", "VR": "virtual"}
        stay = timedelta(hours=5) if owner is self.home else timedelta(days=5) if kind == "IMP" else timedelta(minutes=40)
        encounter = {
            "resourceType": "Encounter", "id": self.id(owner, f"encounter-{name}"), **claims("alliance-encounter"), "status": "finished" if over else "in-progress",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": kind, "display": classes[kind]},
            "serviceType": coded("rc023-department", *self.case["department"]), "subject": self.subject,
            "participant": [{"individual": self.doctor(owner)}], "period": {"start": at(start)} | ({"end": at(start + stay)} if over else {}),
            "reasonCode": [{"text": complaint}], "diagnosis": [{"condition": condition}],
            "location": [{"location": ref("Location", f"{owner['id']}-site")}], "serviceProvider": ref("Organization", owner["id"]),
        }
        named = self.add(owner, encounter)
        if first:
            self.add(owner, {**self.diagnosis(condition_id, named, start), "code": coded(ICD, code, text)})
            if "tcm" in self.case and owner is self.home:
                self.chinese(owner, named, start)
        return named, condition

    def diagnosis(self, id: str, encounter: dict, start: datetime, *, extension: list[dict] | None = None) -> dict:
        return {"resourceType": "Condition", "id": id, **({"extension": extension} if extension else {}),
                "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]},
                "verificationStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "confirmed"}]},
                "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-category", "code": "encounter-diagnosis"}]}],
                "subject": self.subject, "encounter": encounter, "recordedDate": at(start + timedelta(minutes=25))}

    def chinese(self, owner: dict, encounter: dict, start: datetime) -> None:
        """Disease and syndrome of Chinese medicine: two Conditions, the syndrome linked to its disease."""
        disease, (local, text, *national) = self.case["tcm"]
        code = coded(f"{owner['id']}-tcm-syndrome", local, text)
        code["coding"][:0] = [{"system": GBT15657, "code": one, "display": text} for one in national]
        named = self.add(owner, {**self.diagnosis(self.id(owner, "tcm-disease"), encounter, start), "code": coded(f"{owner['id']}-tcm-disease", *disease)})
        related = [{"url": "http://hl7.org/fhir/StructureDefinition/condition-related", "valueReference": named}]
        self.add(owner, {**self.diagnosis(self.id(owner, "tcm-syndrome"), encounter, start, extension=related), "code": code})

    def findings(self, encounter: dict, when: datetime, name: str) -> None:
        """Vital signs, and laboratory values with their report."""
        chance, case = self.chance, self.case
        small = case["age"][1] < 14
        high = case.get("pressure") == "high"
        self.observe("heart-rate", name, encounter, when, "vital-signs", coded(LOINC, "8867-4", "心率"), quantity(chance.randint(96, 150) if small else chance.randint(58, 98), "次/min", "/min"))
        low, top = case.get("temperature", [36.1, 37.2])
        self.observe("temperature", name, encounter, when, "vital-signs", coded(LOINC, "8310-5", "体温"), quantity(f"{chance.uniform(low, top):.1f}", "℃", "Cel"))
        low, top = case.get("saturation", [94, 99])
        pulse = coded(LOINC, "2708-6", "血氧饱和度")  # the profile's code, and how it was measured
        pulse["coding"].append({"system": LOINC, "code": "59408-5", "display": "脉搏血氧饱和度"})
        self.observe("saturation", name, encounter, when, "vital-signs", pulse, quantity(chance.randint(low, top), "%", "%"))
        if not small:
            systolic = chance.randint(142, 178) if high else chance.randint(104, 138)
            parts = [("8480-6", "收缩压", systolic), ("8462-4", "舒张压", systolic - chance.randint(38, 62))]
            components = [{"code": coded(LOINC, code, text), "valueQuantity": quantity(value, "mmHg", "mm[Hg]")} for code, text, value in parts]
            self.observe("blood-pressure", name, encounter, when, "vital-signs", coded(LOINC, "85354-9", "血压"), None, components)
        results = [self.observe(f"lab-{code}", name, encounter, when + timedelta(hours=1), "laboratory", coded(LOINC, code, text), quantity(f"{chance.uniform(low, top):.{digits}f}", unit, unit))
                   for code, text, unit, low, top, digits in case["labs"]]
        if results:
            self.add(self.home, {"resourceType": "DiagnosticReport", "id": self.id(self.home, f"laboratory-{name}"), "status": "final",
                                 "category": [coded("http://terminology.hl7.org/CodeSystem/v2-0074", "LAB", "Laboratory")], "code": coded(LOINC, "11502-2", "实验室检验报告"),
                                 "subject": self.subject, "encounter": encounter, "effectiveDateTime": at(when + timedelta(hours=1)), "issued": instant(when + timedelta(hours=2)),
                                 "performer": [ref("Organization", self.home["id"])], "result": results})

    def observe(self, kind: str, name: str, encounter: dict, when: datetime, category: str, code: dict, value: dict | None, components: list[dict] | None = None) -> dict:
        return self.add(self.home, {
            "resourceType": "Observation", "id": self.id(self.home, f"{kind}-{name}"), **(claims(f"http://hl7.org/fhir/StructureDefinition/{SIGNS[kind]}") if kind in SIGNS else {}), "status": "final",
            "category": [coded("http://terminology.hl7.org/CodeSystem/observation-category", category, category.replace("-", " ").title())],
            "code": code, "subject": self.subject, "encounter": encounter, "effectiveDateTime": at(when), "issued": instant(when + timedelta(minutes=5)),
            "performer": [self.doctor(self.home, 4 if category == "vital-signs" else 3)], **({"valueQuantity": value} if value else {"component": components})})

    def imaging(self, encounter: dict, condition: dict) -> dict:
        """The order, the study and its report; gives the report."""
        about, home, when = self.case["imaging"], self.home, self.start + timedelta(hours=2)
        code = {**coded(LOINC, *about["code"]), "text": about["text"]}
        order = self.add(home, {"resourceType": "ServiceRequest", "id": self.id(home, "imaging-order"), **claims("alliance-service-request"), "status": "completed", "intent": "order",
                                "category": [coded(SNOMED, "363679005", "Imaging")], "code": code, "subject": self.subject, "encounter": encounter,
                                "authoredOn": at(self.start + timedelta(minutes=30)), "requester": self.doctor(home), "performer": [ref("Organization", home["id"])],
                                "reasonReference": [condition]})
        study = self.add(home, self.study(about, encounter, order, when))
        return self.add(home, {"resourceType": "DiagnosticReport", "id": self.id(home, "imaging-report"), "basedOn": [order], "status": "final",
                               "category": [coded("http://terminology.hl7.org/CodeSystem/v2-0074", "RAD", "Radiology")], "code": code, "subject": self.subject,
                               "encounter": encounter, "effectiveDateTime": at(when), "issued": instant(when + timedelta(hours=1)),
                               "performer": [ref("Organization", home["id"])], "resultsInterpreter": [self.doctor(home, 3)], "imagingStudy": [study],
                               "conclusion": about["conclusion"]})

    def study(self, about: dict, encounter: dict, order: dict, when: datetime) -> dict:
        modality, body = {"system": DICOM, "code": about["modality"]}, {"system": SNOMED, "code": about["body"][0], "display": about["body"][1]}
        sop = {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{SOP[about['modality']]}"}
        series = [{"uid": self.uid(), "number": number, "modality": modality, "description": about["text"], "numberOfInstances": 2, "bodySite": body, "started": at(when),
                   "instance": [{"uid": self.uid(), "sopClass": sop, "number": each} for each in (1, 2)]} for number in (1, 2)]
        endpoint = {"endpoint": [ref("Endpoint", f"{self.home['id']}-endpoint-dicom-wado-rs")]} if images(self.home) else {}
        accession = coded("http://terminology.hl7.org/CodeSystem/v2-0203", "ACSN", "Accession ID")
        return {"resourceType": "ImagingStudy", "id": self.id(self.home, "study"), **claims("alliance-imaging-study"),
                "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{self.uid()}"},
                               {"type": accession, "system": f"{BASE}/sid/{self.home['id']}/accession", "value": f"A{self.number:06d}"}],
                "status": "available", "modality": [modality], "subject": self.subject, "encounter": encounter, "started": at(when), "basedOn": [order], **endpoint,
                "numberOfSeries": 2, "numberOfInstances": 4, "description": about["text"], "series": series}

    def uid(self) -> str:
        return f"2.25.{self.chance.getrandbits(100) + 2**100}"

    def referral(self, encounter: dict, condition: dict, imaging: dict | None) -> None:
        """The request, its Task in one of its states, what the receiver did, and the way back."""
        about, home, there = self.case["referral"], self.home, self.specialist
        state, asked = STATES[self.step // self.case.get("every", 1) % len(STATES)], self.start + timedelta(hours=4)
        request = self.add(home, {
            "resourceType": "ServiceRequest", "id": self.id(home, "referral"), **claims("alliance-referral"), "identifier": [self.ticket(home)],
            "status": {"completed": "completed", "rejected": "revoked"}.get(state, "active"), "intent": "order", "category": [coded(SNOMED, "3457005", "Patient referral")],
            "priority": about.get("priority", "routine"), "code": coded("rc023-department", *about["service"]), "subject": self.subject, "encounter": encounter,
            "authoredOn": at(asked), "requester": self.doctor(home), "performer": [ref("Organization", there["id"])], "reasonCode": [{"text": about["reason"]}],
            "reasonReference": [condition], **({"supportingInfo": [imaging]} if imaging else {})})
        report, after = None, asked
        if state in ("in-progress", "completed"):
            after = asked + timedelta(hours=6 if about.get("priority") == "stat" else 72)
            report = self.received(request, after, state == "completed")
        after += timedelta(days=6 if report else 0, hours=1)
        self.add(home, self.task("referral-task", home, there, request, state, asked, after, report))
        if report and self.step % 2 == 0:
            self.back(about["back"], after)

    def received(self, request: dict, when: datetime, over: bool) -> dict | None:
        """The receiver's encounter, and its report when it is over."""
        about, there = self.case["referral"], self.specialist
        encounter, condition = self.visit(there, "referred", when, about["reason"], about.get("class", "AMB"), True, over)
        if not over:
            return None
        return self.add(there, {"resourceType": "DiagnosticReport", "id": self.id(there, "opinion"), "basedOn": [request], "status": "final",
                                "code": coded(LOINC, "11488-4", "会诊记录"), "subject": self.subject, "encounter": encounter, "effectiveDateTime": at(when),
                                "issued": instant(when + timedelta(days=5)), "performer": [self.doctor(there)], "conclusion": about["result"]})

    def back(self, reason: str, when: datetime) -> None:
        """The way down: the receiver asks the home for what follows."""
        home, there = self.home, self.specialist
        request = self.add(there, {"resourceType": "ServiceRequest", "id": self.id(there, "return"), **claims("alliance-referral"), "identifier": [self.ticket(there)], "status": "active", "intent": "order",
                                   "category": [coded(SNOMED, "3457005", "Patient referral")], "subject": self.subject, "authoredOn": at(when),
                                   "requester": self.doctor(there), "performer": [ref("Organization", home["id"])], "reasonCode": [{"text": reason}]})
        self.add(there, self.task("return-task", there, home, request, "requested", when, when, None))

    def ticket(self, owner: dict) -> dict:
        return {"system": f"{BASE}/sid/{owner['id']}/referral", "value": f"ZZ{self.number:06d}"}

    def task(self, kind: str, asks: dict, does: dict, request: dict, state: str, authored: datetime, modified: datetime, report: dict | None) -> dict:
        made = {"resourceType": "Task", "id": self.id(asks, kind), "identifier": [self.ticket(asks)], "basedOn": [request], "status": state, "intent": "order",
                "priority": self.case["referral"].get("priority", "routine"), "code": coded("http://hl7.org/fhir/CodeSystem/task-code", "fulfill", "Fulfill the focal request"),
                "focus": request, "for": self.subject, "authoredOn": at(authored), "lastModified": at(modified),
                "requester": ref("Organization", asks["id"]), "owner": ref("Organization", does["id"])}
        if state == "rejected":
            made["statusReason"] = {"text": "本周床位已满，建议另选时间"}
        if report:
            made["output"] = [{"type": {"text": "会诊意见"}, "valueReference": report}]
        return made


def at(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


instant = at


def quantity(value, unit: str, code: str) -> dict:
    number = value if isinstance(value, int) or "." not in value else Number(value)
    return {"value": int(number) if isinstance(number, str) else number, "unit": unit, "system": "http://unitsofmeasure.org", "code": code}
