"""history of a resource, a type, the system. http://hl7.org/fhir/R4/http.html#history"""
import pytest

from tests.rest.conftest import issue, patient


async def three(client):
    await client.put("Patient/a", json=patient(id="a", gender="male"))
    await client.put("Patient/a", json=patient(id="a", gender="female"))
    await client.delete("Patient/a")


async def pages(client, address) -> list[list[dict]]:
    found = []
    while address:
        answer = await client.get(address)
        assert answer.status_code == 200, answer.text
        found.append(answer.json().get("entry", []))
        address = {link["relation"]: link["url"] for link in answer.json()["link"]}.get("next")
    return found


async def test_versions_come_newest_first_with_what_was_done(client):
    await three(client)
    bundle = (await client.get("Patient/a/_history")).json()
    assert bundle["resourceType"] == "Bundle" and bundle["type"] == "history"
    assert [e["request"]["method"] for e in bundle["entry"]] == ["DELETE", "PUT", "PUT"]
    assert [e["request"]["url"] for e in bundle["entry"]] == ["Patient/a"] * 3
    assert "resource" not in bundle["entry"][0]
    assert [e["resource"]["meta"]["versionId"] for e in bundle["entry"][1:]] == ["2", "1"]
    for each in bundle["entry"]:
        assert each["fullUrl"] == "http://test/fhir/Patient/a"
        assert each["response"]["lastModified"] and each["response"]["status"][:3].isdigit() and each["response"]["etag"]


async def test_a_created_resource_stands_as_post_to_its_type(client):
    await client.post("Patient", json=patient())
    each, = (await client.get("Patient/_history")).json()["entry"]
    assert each["request"] == {"method": "POST", "url": "Patient"} and each["response"]["status"].startswith("201")


async def test_type_and_system_histories_hold_their_resources(client):
    await three(client)
    await client.put("Organization/o", json={"resourceType": "Organization", "id": "o", "name": "O"})
    assert len((await client.get("Patient/_history")).json()["entry"]) == 3
    assert len((await client.get("Organization/_history")).json()["entry"]) == 1
    assert len((await client.get("_history")).json()["entry"]) == 4
    assert "entry" not in (await client.get("Practitioner/_history")).json()


async def test_a_history_is_paged_without_loss_while_others_write(client):
    for n in range(5):
        await client.put("Patient/a", json=patient(id="a", birthDate=f"200{n}-01-01"))
    first = (await client.get("Patient/a/_history?_count=2")).json()
    assert [e["resource"]["meta"]["versionId"] for e in first["entry"]] == ["5", "4"]
    await client.put("Patient/a", json=patient(id="a", birthDate="2009-01-01"))
    next = {link["relation"]: link["url"] for link in first["link"]}["next"]
    assert next.startswith("http://test/fhir/Patient/a/_history?_cursor=")
    rest = [e["resource"]["meta"]["versionId"] for page in await pages(client, next) for e in page]
    assert rest == ["3", "2", "1"]


async def test_since_keeps_what_came_at_or_after(client):
    await client.put("Patient/a", json=patient(id="a"))
    second = (await client.put("Patient/a", json=patient(id="a", gender="male"))).json()["meta"]["lastUpdated"]
    found = (await client.get("Patient/a/_history", params={"_since": second})).json()
    assert "2" in [e["resource"]["meta"]["versionId"] for e in found["entry"]]
    assert "entry" not in (await client.get("Patient/a/_history", params={"_since": "2999-01-01T00:00:00Z"})).json()


async def test_at_keeps_what_was_current_then(client):
    await three(client)
    assert "entry" not in (await client.get("Patient/a/_history", params={"_at": "2001-01-01"})).json()
    now = (await client.get("Patient/a/_history", params={"_at": "2999-01-01"})).json()
    assert [e["request"]["method"] for e in now["entry"]] == ["DELETE"]


@pytest.mark.parametrize("query", ["_since=yesterday", "_since=2001-01-01T00:00:00Z&_since=2001-01-01T00:00:00Z", "_at=x", "_count=-1", "_count=x", "_count=1&_count=1",
                                   "gender=male", "_list=$current-problems", "_list=Patient/a", "_list=a&_list=b", "_cursor=nonsense", "_summary=count"])
async def test_a_bad_parameter_is_400(client, query):
    await three(client)
    for address in ("Patient/a/_history", "Patient/_history", "_history"):
        assert (await client.get(f"{address}?{query}")).status_code == 400


async def test_the_history_of_nothing_is_404(client):
    assert (await client.get("Patient/a/_history")).status_code == 404
    assert (await client.get("Nothing/_history")).status_code == 404


async def test_a_history_is_viewed_in_part_on_every_page(client):
    for n in range(3):
        await client.put("Patient/a", json=patient(id="a", gender="male", birthDate=f"200{n}-01-01"))
    found = await pages(client, "Patient/a/_history?_elements=birthDate&_count=2")
    assert [len(page) for page in found] == [2, 1]
    for each in [e for page in found for e in page]:
        assert "birthDate" in each["resource"] and "gender" not in each["resource"]


async def test_the_self_link_tells_what_was_asked(client):
    await three(client)
    links = {link["relation"]: link["url"] for link in (await client.get("Patient/a/_history?_count=10")).json()["link"]}
    assert links == {"self": "http://test/fhir/Patient/a/_history?_count=10"}


async def test_a_page_link_works_at_its_own_address_only(client):
    await three(client)
    first = (await client.get("Patient/a/_history?_count=1")).json()
    next = {link["relation"]: link["url"] for link in first["link"]}["next"]
    await client.put("Patient/b", json=patient(id="b"))
    assert (await client.get(next.replace("Patient/a/", "Patient/b/"))).status_code == 400
    assert (await client.get(next.replace("/a/_history", ""))).status_code == 400


async def test_head_of_a_history(client):
    await three(client)
    head = await client.head("Patient/a/_history")
    assert head.status_code == 200 and head.content == b"" and int(head.headers["content-length"]) > 100


async def test_a_page_of_no_versions_has_none(client):
    await client.put("Patient/a", json=patient(id="a"))
    page = (await client.get("Patient/a/_history?_count=0")).json()
    assert "entry" not in page and [link["relation"] for link in page["link"]] == ["self"]


@pytest.mark.parametrize("name", ["_since", "_at"])
async def test_a_bad_moment_is_told_by_its_parameter(client, name):
    await client.put("Patient/a", json=patient(id="a"))
    answer = await client.get(f"Patient/a/_history?{name}=yesterday")
    assert answer.status_code == 400 and issue(answer)["expression"] == [name]


async def test_a_zone_whose_plus_became_a_space_is_told_how_to_write_it(client):
    await client.put("Patient/a", json=patient(id="a"))
    assert "%2B" in issue(await client.get("Patient/a/_history?_since=2026-01-01T00:00:00+08:00"))["diagnostics"]
    assert (await client.get("Patient/a/_history?_since=2026-01-01T00:00:00%2B08:00")).status_code == 200


async def test_a_history_of_what_a_list_names(client):
    """https://hl7.org/fhir/R4/http.html#history: only versions that are referenced in the list; without a version it names all."""
    for n in range(3):
        for id in "abc":
            await client.put(f"Patient/{id}", json=patient(id=id, birthDate=f"200{n}-01-01"))
    await client.put("Patient/a", json=patient(id="a"))
    items = [{"item": {"reference": text}} for text in ("Patient/a/_history/2", "http://test/fhir/Patient/b", "Patient/c/_history/9", "http://other.example/Patient/c", "Encounter/a")]
    await client.put("List/l", json={"resourceType": "List", "id": "l", "status": "current", "mode": "working", "entry": [*items, {"item": {"display": "x"}}]})
    for address, wanted in (("Patient/_history", ["b/3", "b/2", "a/2", "b/1"]), ("_history", ["b/3", "b/2", "a/2", "b/1"]), ("Patient/a/_history", ["a/2"]), ("Patient/b/_history", ["b/3", "b/2", "b/1"]),
                            ("Patient/c/_history", []), ("Encounter/_history", [])):
        found = [e for page in await pages(client, f"{address}?_list=l&_count=3") for e in page]
        assert [f"{e['resource']['id']}/{e['resource']['meta']['versionId']}" for e in found] == wanted, address
    assert "entry" not in (await client.get("Patient/_history?_list=none")).json()
    assert (await client.get("Patient/_history?_list=List/l")).json()["link"][0]["url"].endswith("_list=List/l")
