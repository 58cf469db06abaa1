"""Code tables of an import as ConceptMaps: $translate over HTTP answers from the rows that the import used, on both stores."""
from __future__ import annotations

import pytest

from app import errors
from app.main import open_world
from app.mapping import feed
from app.mapping.tables import COLUMNS
from app.search import index
from app.settings import Settings
from tests.mapping.making import PATIENT, compiled, export
from tests.rest.conftest import serving

TABLE = ",".join(COLUMNS) + "\nurn:h:kind,1,男,http://hl7.org/fhir/administrative-gender,male,Male,equivalent,,,\nurn:h:kind,9,未说明,,,,unmatched,not said,,\n"
WIDER = TABLE + "urn:h:kind,7,其他,http://hl7.org/fhir/administrative-gender,other,Other,narrower,,2020-01-01,\n"
GENDER = PATIENT + "    gender: = 值 | code(sex)\n"


async def imported(settings, folder, table: str, **more):
    mapping = compiled(folder, GENDER.replace("    birthDate: = 值 | date('yyyyMMdd')\n", ""), tables={"sex": table})
    async with open_world(Settings(open=True, **settings)) as world:
        return await feed.run(world, mapping, export(folder / "v.csv", "1,张三,1,"), **more)


async def told(settings, code: str) -> tuple[list, list]:
    """The versions of the stored maps, and what $translate says of a code."""
    async with serving(**settings) as client:
        maps = (await client.get("ConceptMap?url=https://yilian.example/fhir/ConceptMap/h-sex")).json().get("entry", [])
        answer = (await client.get(f"ConceptMap/$translate?code={code}&system=urn:h:kind")).json()
    matches = [part for each in answer["parameter"] if each["name"] == "match" for part in each["part"]]
    return [each["resource"]["meta"]["versionId"] for each in maps], [part.get("valueCode") or part["valueCoding"].get("display") for part in matches if part["name"] != "source"]


async def test_what_an_import_translates_by_is_what_translate_says(settings, tmp_path):
    assert (await imported(settings, tmp_path, TABLE)).accepted == 1
    assert await told(settings, "1") == (["1"], ["equivalent", "Male"])
    await imported(settings, tmp_path, TABLE, again=True)
    assert await told(settings, "9") == (["1"], ["unmatched"])
    await imported(settings, tmp_path, WIDER)
    assert await told(settings, "7") == (["2"], ["narrower", "Other"])


async def test_a_dry_run_publishes_nothing(settings, tmp_path):
    await imported(settings, tmp_path, TABLE, dry=True)
    assert await told(settings, "1") == ([], [])


async def test_a_table_that_is_published_is_not_written_again(settings, tmp_path, monkeypatch):
    await imported(settings, tmp_path, TABLE)
    monkeypatch.setattr(feed.tables, "concept_map", lambda *args: pytest.fail("it is made again"))
    assert (await imported(settings, tmp_path, TABLE, again=True)).unpublished == ()


async def test_a_table_that_the_store_cannot_hold_is_told_and_the_import_goes_on(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(index, "rows", _refusing(index.rows))
    done = await imported(settings, tmp_path, TABLE)
    assert done.unpublished == ("sex",) and done.accepted == 1 and done.summary()["unpublished"] == ["sex"]
    monkeypatch.undo()
    assert await told(settings, "1") == ([], [])


def _refusing(rows):
    def refuse(resource, *more):
        if resource["resourceType"] == "ConceptMap":
            raise errors.TooLarge("This resource or transaction is larger than the store takes.")
        return rows(resource, *more)
    return refuse
