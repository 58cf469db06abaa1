"""Searches as they are written, on each store and by the judge; what they find is written by hand from the specification. https://hl7.org/fhir/R4/search.html"""
from __future__ import annotations

from app.fhir import json
from app.search import index, match, parse, stamp
from app.search.context import Context
from app.search.query import Query
from app.store.base import Entry
from tests.store.writing import NOW

ZONE, BASE = "Asia/Shanghai", "http://test/fhir"
CONTEXT = Context(ZONE, BASE, NOW)


class Spoken:
    """Resources in a store, and as (entry, rows) for the judge."""

    def __init__(self, store):
        self.store, self.items = store, []

    async def write(self, *resources: dict) -> "Spoken":
        async def work(tx):
            self.items = []
            for resource in resources:
                marks = stamp.stamp(resource, ZONE, BASE)
                entry = Entry(resource["resourceType"], resource["id"], 1, json.dumps(resource), NOW, about=marks.about, date=marks.date)
                rows = index.rows(resource, ZONE, BASE)
                await tx.write(entry, rows)
                self.items.append((entry, rows))
        await self.store.commit(work)
        return self

    def current(self, type: str, id: str):
        return next((item for item in self.items if item[0].ref == f"{type}/{id}"), None)

    def referring(self, param: str, type: str, ref: str):
        return [item for item in self.items if item[0].type == type and any(r.param == param and r.code == ref for r in item[1])]

    def facts(self):
        return ()

    def judged(self, query: Query) -> list[str]:
        return [entry.id for entry, _ in match.order(query, [item for item in self.items if match.match(query, *item, self, NOW)])]

    async def find(self, searches: dict[str, str]) -> None:
        """Each search finds these ids, in the order of their writing; counted too."""
        at = await self.store.newest()
        stored, judged, counted = {}, {}, {}
        for text in searches:
            type, _, asked = text.partition("?")
            query = parse.parse((type,) if type else (), parse.pairs(asked), CONTEXT).query
            stored[text] = " ".join(reversed([f.entry.id for f in await self.store.search(query, at=at, now=NOW, limit=100)]))
            judged[text] = " ".join(reversed(self.judged(query)))
            counted[text] = await self.store.count(query, at=at, now=NOW)
        assert judged == searches
        assert stored == searches
        assert counted == {text: len(ids.split()) for text, ids in searches.items()}


def location(id: str, latitude=None, longitude=None) -> dict:
    return {"resourceType": "Location", "id": id, **({"position": {"latitude": latitude, "longitude": longitude}} if latitude is not None else {})}


async def test_places_near_a_point(store):
    spoken = await Spoken(store).write(
        location("bund", 31.2397, 121.4900), location("huashan", 31.2155, 121.4420), location("fiji", -18.1416, 178.4419), location("samoa", -13.8333, -171.7667),
        location("pole", 90, 0), location("nowhere"),
        {"resourceType": "Encounter", "id": "visit", "status": "finished", "class": {"code": "AMB"}, "location": [{"location": {"reference": "Location/huashan"}}]},
        {"resourceType": "PractitionerRole", "id": "role", "location": [{"reference": "Location/bund"}, {"reference": "Location/fiji"}]},
        {"resourceType": "HealthcareService", "id": "service", "location": [{"reference": "Location/pole"}]})
    await spoken.find({
        "Location?near=31.2397|121.49|5.3|km": "bund huashan", "Location?near=31.2397|121.49|5.2": "bund", "Location?near=31.2397|121.49": "bund huashan",
        "Location?near=31.2397|121.49|3.3|[mi_us]": "bund huashan", "Location?near=31.2397|121.49|0": "bund", "Location?near=0|0|5": "",
        "Location?near=-18|180|1200": "fiji samoa", "Location?near=-18|-180|300": "fiji", "Location?near=89|-120|112": "pole", "Location?near=-90|0|8500": "fiji samoa",
        "Location?near=0|0|20020": "bund huashan fiji samoa pole", "Location?near=31.2|121.4|20,90|0|1": "bund huashan pole", "Location?near=31.24|121.49|1&near=31.24|121.49|2": "bund",
        "Location?near:missing=true": "nowhere", "Location?near:missing=false": "bund huashan fiji samoa pole",
        "Encounter?location.near=31.2|121.4|10": "visit", "Encounter?location.near=31.2|121.4|1": "", "PractitionerRole?location.near=-18|178|100": "role",
        "HealthcareService?location.near=88|0|500": "service", "HealthcareService?location.near=31|121|500": "", "Location?_has:Encounter:location:class=AMB&near=31.2|121.4|30": "huashan",
    })


def composition(id: str, *years: tuple[str, str]) -> dict:
    return {"resourceType": "Composition", "id": id, "event": [{"period": {k: v for k, v in zip(("start", "end"), year) if v}} for year in years]}


async def test_two_bounds_of_a_date_may_be_met_by_two_of_several_dates(store):
    """The bounds are two parameters: "each of them must be met", by whichever repetition. https://hl7.org/fhir/R4/search.html#combining"""
    spoken = await Spoken(store).write(
        composition("apart", ("2020", "2020"), ("2023", "2023")), composition("before", ("2020", "2020")), composition("after", ("2023", "2023")),
        composition("early", ("2019", "2019"), ("2020", "2020")), composition("open", ("2020", "")), composition("within", ("2021", "2021"), ("2024", "2024")), composition("none"))
    await spoken.find({
        "Composition?period=ge2021&period=le2022": "apart open within", "Composition?period=ge2021&period=le2022&_sort=-_lastUpdated": "apart open within",
        "Composition?period=ge2020&period=lt2020-06": "apart before early open", "Composition?period=gt2020&period=lt2022": "apart open within",
        "Composition?period=2020&period=2023": "apart", "Composition?period=sa2019&period=eb2021": "apart before early", "Composition?period=ge2030&period=le2031": "open",
        "Composition?period=ge2021&period=le2022&period=ne2021": "apart open within", "Composition?period:missing=true": "none",
    })


def narrative(text: str) -> dict:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>'}


def condition(id: str, text: str, **more) -> dict:
    return {"resourceType": "Condition", "id": id, "text": narrative(text), **more}


async def test_words_of_the_narrative_and_of_all_content(store):
    """The specification's own example, `(bone OR liver) and metastases`, among them."""
    spoken = await Spoken(store).write(
        condition("bone", "<p>Bone</p><p>metastases</p>", code={"text": "Metástases ósseas"}), condition("liver", "Liver <b>metastases</b>, multiple"), condition("primary", "Bone tumour"),
        condition("lung", "Metastases; lung &amp; pleura", note=[{"text": "liver is free"}]),
        condition("hypertension", "患者高<b>血</b>压三年，血脂正常", code={"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "I10.x00", "display": "原发性高血压"}]}),
        condition("glaucoma", "眼压高，血压正常", note=[{"text": "ＯＣＴ检查"}]),
        {"resourceType": "Condition", "id": "bare", "code": {"text": "Bone-marrow failure, HbA1c 检查"}, "contained": [{"resourceType": "Practitioner", "id": "p", "name": [{"family": "欧阳", "given": ["静"]}]}],
         "extension": [{"url": "http://example.org/remark", "valueString": "Überweisung"}], "subject": {"reference": "Patient/secret", "display": "诸葛亮"}})
    await spoken.find({
        "Condition?_text=(bone OR liver) and metastases": "bone liver", "Condition?_text=metastases": "bone liver lung", "Condition?_text=METASTASES bone": "bone", "Condition?_text=bone metastases": "bone",
        "Condition?_text=bone or liver": "bone liver primary", "Condition?_text=bone,liver": "bone liver primary", "Condition?_text=metastases NOT liver": "bone lung",
        "Condition?_text=metastases NOT (liver OR lung)": "bone", "Condition?_text=\"bone metastases\"": "bone", "Condition?_text=\"metastases bone\"": "", "Condition?_text=metastas": "",
        "Condition?_text=metastases&_text=liver": "liver", "Condition?_text=amp": "", "Condition?_text=p": "", "Condition?_text=generated": "", "Condition?_text=free": "",
        "Condition?_content=liver": "liver lung", "Condition?_content=metastases liver": "liver lung", "Condition?_content=metastases NOT liver": "bone", "Condition?_content=bone": "bone primary bare",
        # accents, case and width do not count
        "Condition?_content=osseas": "bone", "Condition?_content=ósséas": "bone", "Condition?_content=METASTASES osseas": "bone", "Condition?_content=uberweisung": "bare", "Condition?_content=ｈｂａ１ｃ": "bare",
        "Condition?_content=oct": "glaucoma", "Condition?_content=ＯＣＴ": "glaucoma", "Condition?_content=OCT检查": "glaucoma",
        # Chinese: one character, two, more; what is not written together is not found together
        "Condition?_text=血": "hypertension glaucoma", "Condition?_text=压": "hypertension glaucoma", "Condition?_text=血压": "hypertension glaucoma", "Condition?_text=高血压": "hypertension",
        "Condition?_text=压高": "glaucoma", "Condition?_text=血压高": "", "Condition?_text=高血": "hypertension", "Condition?_text=原发": "", "Condition?_content=原发": "hypertension",
        "Condition?_content=血压 检查": "glaucoma", "Condition?_content=检查": "glaucoma bare", "Condition?_text=血压 NOT 高血压": "glaucoma", "Condition?_text=三年血脂": "", "Condition?_text=\"三年 血脂\"": "hypertension",
        # codes, contained resources, extensions, displays, names as they are written; no addresses, no ids
        "Condition?_content=I10.x00": "hypertension", "Condition?_content=i10": "hypertension", "Condition?_content=欧阳静": "bare", "Condition?_content=bone-marrow": "bare", "Condition?_content=marrow bone": "bare",
        "Condition?_content=\"marrow bone\"": "", "Condition?_content=诸葛亮": "bare", "Condition?_content=secret": "", "Condition?_content=icd": "", "Condition?_content=bare": "", "Condition?_content=metastases\\, liver": "liver lung",
        # in a search of all types, in a chain
        "?_content=肝,欧阳": "bare", "?_text=metastases and liver": "liver", "?_type=Condition,Patient&_content=lung": "lung",
    })


async def test_any_part_of_a_string(store):
    def patient(id, family, *given, **more):
        return {"resourceType": "Patient", "id": id, "name": [{"family": family, "given": list(given)}], **more}
    spoken = await Spoken(store).write(
        patient("zhang", "张", "小明"), patient("ouyang", "欧阳", "明"), patient("smith", "Smith-Jones", "José María"), patient("berg", "van der Berg", "An", address=[{"city": "上海市", "line": ["徐汇区Smith路12号"]}]),
        patient("full", "Ｗａｎｇ", "Ｆａｎｇ"))
    await spoken.find({
        "Patient?name:contains=明": "zhang ouyang", "Patient?name:contains=小": "zhang", "Patient?name:contains=小明": "zhang", "Patient?name:contains=张小明": "zhang", "Patient?name:contains=阳明": "ouyang",
        "Patient?name:contains=明小": "", "Patient?given:contains=张": "", "Patient?family:contains=阳": "ouyang", "Patient?name:contains=mit": "smith", "Patient?name:contains=ITH": "smith", "Patient?name:contains=s": "smith",
        "Patient?name:contains=an": "berg full", "Patient?name:contains=der b": "berg", "Patient?name:contains=é": "smith berg", "Patient?name:contains=ose ma": "smith", "Patient?name:contains=thjo": "smith",
        "Patient?name:contains=ang": "full", "Patient?name:contains=ａｎｇ": "full", "Patient?name:contains=mit,小": "zhang smith", "Patient?address:contains=海": "berg", "Patient?address:contains=smith路1": "berg",
        "Patient?name:contains=路": "", "Patient?address-city:contains=smith": "", "Patient?name:contains=rga": "",
    })


async def test_texts_of_tokens(store):
    """CodeableConcept.text, Coding.display and Identifier.type.text, without regard to accent, case and width. https://hl7.org/fhir/R4/search.html#token"""
    def observation(id, **code):
        return {"resourceType": "Observation", "id": id, "status": "final", "code": code, "meta": {"tag": [{"system": "urn:t", "code": "t", "display": "Zählung"}]} if id == "display" else {}}
    spoken = await Spoken(store).write(
        observation("text", text="Hémoglobine glyquée"), observation("display", coding=[{"code": "1", "display": "ＨｂＡ１ｃ 检测"}, {"code": "2", "display": "Headache"}], text="糖化血红蛋白"), observation("none", coding=[{"code": "Headache"}]),
        {"resourceType": "Patient", "id": "card", "identifier": [{"type": {"text": "社会保障卡 Ｎｏ"}, "value": "1"}]}, {"resourceType": "Patient", "id": "number", "identifier": [{"type": {"coding": [{"display": "社会"}]}, "value": "社会"}]},
        {"resourceType": "Encounter", "id": "coding", "status": "finished", "class": {"code": "AMB", "display": "Ambulante Überwachung"}})
    await spoken.find({
        "Observation?code:text=hemoglobine": "text", "Observation?code:text=HÉMO": "text", "Observation?code:text=hba1c": "display", "Observation?code:text=ＨＢＡ": "display", "Observation?code:text=headache": "display",
        "Observation?code:text=糖化": "display", "Observation?code:text=糖": "display", "Observation?code:text=检测": "", "Observation?code:text=血红": "", "Observation?code:text=glyquee": "", "Observation?code:text=糖化,hemo": "text display",
        "Observation?_tag:text=zahl": "display", "Patient?identifier:text=社会": "card", "Patient?identifier:text=社会保障卡 no": "card", "Patient?identifier:text=1": "", "Encounter?class:text=AMBULANTE UBER": "coding", "Encounter?class:text=amb": "coding",
    })


async def test_strings_heed_neither_accent_nor_case_nor_width(store):
    def patient(id, family, **more):
        return {"resourceType": "Patient", "id": id, "name": [{"family": family}], **more}
    spoken = await Spoken(store).write(patient("jose", "Muñóz"), patient("wide", "Ｗａｎｇ"), patient("half", "ﾜﾝ"), patient("chinese", "诸葛", address=[{"line": ["北京路１２号"]}]))
    await spoken.find({
        "Patient?family=munoz": "jose", "Patient?family=MUÑ": "jose", "Patient?family=wang": "wide", "Patient?family=ｗａ": "wide", "Patient?family=ワン": "half", "Patient?family=诸": "chinese",
        "Patient?address=北京路12": "chinese", "Patient?address=北京路１２号": "chinese", "Patient?family:exact=munoz": "", "Patient?family:exact=Muñóz": "jose", "Patient?family:exact=wang": "", "Patient?family:exact=Ｗａｎｇ": "wide",
    })


async def test_parameters_of_every_resource(store):
    """https://hl7.org/fhir/R4/search.html#all"""
    profile, source = "http://hl7.org/fhir/StructureDefinition/", "http://hospital.example/emr"
    secret = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    spoken = await Spoken(store).write(
        {"resourceType": "Patient", "id": "a", "meta": {"profile": [profile + "vitalsigns|4.0.1"], "tag": [{"system": "urn:t", "code": "x"}], "security": [secret], "source": source + "/ward/3#m1"}},
        {"resourceType": "Patient", "id": "b", "meta": {"profile": [profile + "bodyheight"], "tag": [{"system": "urn:t", "code": "y"}], "source": source}},
        {"resourceType": "Patient", "id": "c", "contained": [{"resourceType": "Organization", "id": "o", "meta": {"security": [secret], "tag": [{"system": "urn:t", "code": "x"}]}}]},
        {"resourceType": "Device", "id": "a", "meta": {"tag": [{"system": "urn:t", "code": "x"}]}})
    await spoken.find({
        f"Patient?_profile={profile}vitalsigns": "a", f"Patient?_profile={profile}vitalsigns|4.0.1": "a", f"Patient?_profile={profile}vitalsigns|4.0.0": "", f"Patient?_profile:below={profile}": "a b",
        f"Patient?_profile:below={profile}body": "b", "Patient?_profile:missing=true": "c", f"Patient?_source={source}": "b", f"Patient?_source={source}/ward/3#m1": "a", f"Patient?_source:below={source}": "a b", f"Patient?_source:below={source}/ward": "a",
        f"Patient?_source:above={source}/ward/3": "b", "Patient?_source:missing=true": "c", "Patient?_tag=urn:t|x": "a", "Patient?_tag=x,y": "a b", "Patient?_tag:not=urn:t|x": "b c", "Patient?_tag:not=x,y": "c", "Patient?_tag:missing=true": "c",
        "Patient?_tag=urn:t|": "a b", "Patient?_tag=|x": "", "Patient?_security=http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R": "a", "Patient?_security:not=R": "b c", "Patient?_security=R": "a",
        "Patient?_id=a": "a", "Patient?_id=a,c,z": "a c", "Patient?_id:not=a": "b c", "Patient?_lastUpdated=2023-11-14T22:13:20Z": "a b c", "Patient?_lastUpdated=gt2023-11-14T22:13:20Z": "", "Patient?_lastUpdated=ge2023-11-14T22:13:20Z": "a b c",
        "Patient?_lastUpdated=lt2023-11-15T06:13:21": "a b c", "Patient?_lastUpdated=sa2023-11-14": "a b c", "Patient?_lastUpdated=eb2023-11-16": "a b c", "Patient?_lastUpdated=ne2023": "", "Patient?_lastUpdated=2022,2023-11": "a b c",
        "?_type=Patient,Device&_tag=x": "a a", "?_type=Device&_tag=x": "a", "?_tag=urn:t|x": "a a", "?_type=Patient&_type=Device&_id=a": "a a", "?_type=Patient,Device&_tag:not=x": "b c", f"?_source:below={source}": "a b",
    })
