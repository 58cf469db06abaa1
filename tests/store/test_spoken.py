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
