"""search by GET and POST, on a type, the system, a compartment: what the door does; what is found is the search's own tests' matter.

http://hl7.org/fhir/R4/http.html#search
"""
import pytest

from tests.rest.conftest import issue, patient

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def ward(client):
    """Two patients, an observation of each, an encounter of the first."""
    for id, gender in (("a", "male"), ("b", "female")):
        await client.put(f"Patient/{id}", json=patient(id=id, gender=gender, birthDate="2001-01-01"))
        await client.put(f"Observation/o{id}", json={"resourceType": "Observation", "id": f"o{id}", "status": "final", "code": {"coding": [{"system": "urn:c", "code": "x"}]},
                                                      "subject": {"reference": f"Patient/{id}"}})
    await client.put("Encounter/e", json={"resourceType": "Encounter", "id": "e", "status": "finished", "class": {"code": "AMB"}, "subject": {"reference": "Patient/a"}})


def found(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return sorted(f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in answer.json().get("entry", []) if e["search"]["mode"] != "outcome")


def links(answer) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in answer.json()["link"]}


async def test_a_search_gives_a_searchset_with_total_and_self_link(client):
    await ward(client)
    answer = await client.get("Patient?gender=male")
    bundle = answer.json()
    assert bundle["resourceType"] == "Bundle" and bundle["type"] == "searchset" and bundle["total"] == 1
    assert bundle["entry"][0]["fullUrl"] == "http://test/fhir/Patient/a" and bundle["entry"][0]["search"] == {"mode": "match"}
    assert links(answer) == {"self": "http://test/fhir/Patient?gender=male"}


async def test_a_search_that_finds_nothing_has_no_entries(client):
    bundle = (await client.get("Patient?gender=male")).json()
    assert bundle["total"] == 0 and "entry" not in bundle


async def test_a_search_by_post_takes_form_and_address_together(client):
    await ward(client)
    assert found(await client.post("Patient/_search", content="gender=male", headers=FORM)) == ["Patient/a"]
    assert found(await client.post("Patient/_search?gender=female", content="birthdate=2001-01-01", headers=FORM)) == ["Patient/b"]
    assert found(await client.post("Patient/_search", content="", headers=FORM)) == ["Patient/a", "Patient/b"]
    assert found(await client.post("_search", content="_type=Patient,Encounter&_id=a,e", headers=FORM)) == ["Encounter/e", "Patient/a"]
    assert found(await client.post("Patient/a/Observation/_search", content="code=x", headers=FORM)) == ["Observation/oa"]


async def test_the_next_page_of_a_search_by_post_is_a_get_that_names_nobody(client):
    await ward(client)
    first = await client.post("Patient/_search", content="birthdate=2001-01-01&_count=1", headers=FORM)
    next = links(first)["next"]
    assert next.startswith("http://test/fhir/Patient?_cursor=") and "2001" not in next
    assert sorted(found(first) + found(await client.get(next))) == ["Patient/a", "Patient/b"]


@pytest.mark.parametrize("media", ["application/fhir+json", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded; charset=gbk"])
async def test_a_search_by_post_takes_forms_only(client, media):
    assert (await client.post("Patient/_search", content="gender=male", headers={"Content-Type": media})).status_code == 415


async def test_a_search_of_the_system_takes_types(client):
    await ward(client)
    assert found(await client.get("?_type=Patient")) == ["Patient/a", "Patient/b"]
    assert found(await client.get("?_type=Patient,Observation&_id=a,ob")) == ["Observation/ob", "Patient/a"]
    assert (await client.get("?_type=Nothing")).status_code == 400
    assert (await client.get("Patient?_type=Patient")).status_code == 400


async def test_a_compartment_holds_what_concerns_it(client):
    await ward(client)
    assert found(await client.get("Patient/a/Observation")) == ["Observation/oa"]
    assert found(await client.get("Patient/a/Observation?code=y")) == []
    assert found(await client.get("Patient/a/*")) == ["Encounter/e", "Observation/oa"]
    assert links(await client.get("Patient/a/*?_count=1"))["self"] == "http://test/fhir/Patient/a/*?_count=1"


async def test_what_is_no_compartment_or_no_part_of_one_is_refused(client):
    await ward(client)
    assert (await client.get("Observation/oa/Patient")).status_code in (400, 404)
    assert (await client.get("Patient/a/StructureDefinition")).status_code in (400, 404)
    assert (await client.get("Patient/a/Nothing")).status_code == 404


async def test_pages_follow_each_other_without_loss(client):
    for n in range(7):
        await client.put(f"Patient/p{n}", json=patient(id=f"p{n}"))
    answer, seen = await client.get("Patient?_count=3"), []
    while True:
        seen += found(answer)
        await client.post("Patient", json=patient())
        if "next" not in links(answer):
            break
        answer = await client.get(links(answer)["next"])
    assert sorted(seen) == [f"Patient/p{n}" for n in range(7)]


@pytest.mark.parametrize("query", ["colour=red", "gender:loud=male", "birthdate=x", "_count=x", "_sort=colour", "_include=colour", "_total=all", "_summary=x",
                                   "_elements=colour", "_cursor=nonsense", "_explain=maybe", "gender=%00", "%FF=x", "gender=%FF", "_has:x=y", "a.b.c=d"])
async def test_what_is_not_known_is_refused_by_default(client, query):
    answer = await client.get(f"Patient?{query}")
    assert answer.status_code == 400 and issue(answer)["severity"] == "error", answer.text


@pytest.mark.parametrize("query, status, name", [("Patient?gender=%00", 400, "gender"), ("Patient?_format=png", 406, "_format"), ("AuditEvent?_list=1", 400, "List.item"), ("AuditEvent?_has:Provenance:target:agent=x", 400, "Provenance.target"),
                                                 ("AuditEvent?_filter=site ne x", 400, "AuditEvent.site")])
async def test_a_refusal_names_the_parameter(client, query, status, name):
    answer = await client.get(query)
    assert (answer.status_code, issue(answer).get("expression")) == (status, [name]), answer.text


async def test_a_condition_of_blanks_does_not_mean_all(client):
    await ward(client)
    for method, query in (("DELETE", "Patient?name=%20"), ("DELETE", "Patient?name:contains=%CC%81"), ("PUT", "Patient?family=%E3%80%80"), ("GET", "Patient?name=%20")):
        answer = await client.request(method, query, json=patient() if method == "PUT" else None)
        assert answer.status_code == 400 and issue(answer)["expression"][0].endswith(query.partition("?")[2].partition("=")[0]), answer.text
    assert (await client.get("Patient?_summary=count")).json()["total"]


async def test_lenient_handling_ignores_unknown_parameters_and_says_so(client):
    await ward(client)
    answer = await client.get("Patient?colour=red&gender=male", headers={"Prefer": "handling=lenient"})
    assert found(answer) == ["Patient/a"]
    notes = [e for e in answer.json()["entry"] if e["search"]["mode"] == "outcome"]
    assert "colour" in notes[0]["resource"]["issue"][0]["diagnostics"] and notes[0]["resource"]["issue"][0]["severity"] == "warning"
    assert "colour" not in links(answer)["self"]
    assert (await client.get("Patient?colour=red", headers={"Prefer": "handling=strict"})).status_code == 400


async def test_a_search_is_viewed_in_part(client):
    await ward(client)
    for each in (await client.get("Patient?_elements=gender")).json()["entry"]:
        assert "gender" in each["resource"] and "birthDate" not in each["resource"]
        assert any(tag["code"] == "SUBSETTED" for tag in each["resource"]["meta"]["tag"])
    count = (await client.get("Patient?_summary=count")).json()
    assert count["total"] == 2 and "entry" not in count
    assert '\n  "type": "searchset"' in (await client.get("Patient?_pretty=true")).text


async def test_a_view_lasts_over_pages(client):
    await ward(client)
    first = await client.get("Patient?_elements=gender&_count=1&_pretty=true")
    second = await client.get(links(first)["next"])
    assert "birthDate" not in second.json()["entry"][0]["resource"] and '\n  "type"' in second.text


async def test_included_resources_are_marked(client):
    await ward(client)
    entries = (await client.get("Observation?_id=oa&_include=Observation:subject")).json()["entry"]
    assert {(e["resource"]["id"], e["search"]["mode"]) for e in entries} == {("oa", "match"), ("a", "include")}


async def test_a_search_explains_itself(client):
    await ward(client)
    entries = (await client.get("Patient?gender=male&birthdate=ge1970&_explain=true&_sort=name")).json()["entry"]
    assert [e["search"]["mode"] for e in entries] == ["match", "outcome"]
    issues = entries[1]["resource"]["issue"]
    assert {(i["severity"], i["code"]) for i in issues} == {("information", "informational")}
    said = [i["diagnostics"] for i in issues]
    assert said[0].startswith("Found: Patient for which Patient.gender code is male and (")
    assert "Driven by: Patient.gender code is male; index row_code." in said
    assert any(each.startswith("Probed: Patient.birthdate ") for each in said) and "Order: Patient.name (first first), ties by entry." in said


async def test_a_search_is_explained_only_where_that_is_asked(client):
    await ward(client)
    assert [e["search"]["mode"] for e in (await client.get("Patient?gender=male&_explain=false")).json()["entry"]] == ["match"]
    assert "_explain=true" in links(await client.get("Patient?_explain=true&_count=1"))["self"]
    log = (await client.get("AuditEvent?_explain=true")).json()["entry"][-1]["resource"]
    assert log["resourceType"] == "OperationOutcome" and "time" in log["issue"][0]["diagnostics"]


async def test_head_of_a_search(client):
    await ward(client)
    head = await client.head("Patient?gender=male")
    assert head.status_code == 200 and head.content == b"" and head.headers["content-type"].startswith("application/fhir+json")


async def test_too_many_parameters_are_refused(client):
    assert (await client.get("Patient?" + "&".join(f"_id=x{n}" for n in range(1001)))).status_code == 400


async def test_a_search_of_an_unknown_type_is_404(client):
    assert (await client.get("Nothing?_id=a")).status_code == 404
    assert (await client.post("Nothing/_search", content="_id=a", headers=FORM)).status_code == 404


@pytest.mark.parametrize("form, status, media", [("_format=xml", 406, "application/fhir+json"), ("_format=application/json", 200, "application/json"), ("_format=json&_pretty=true", 200, "application/fhir+json")])
async def test_a_form_says_the_format_as_an_address_does(client, form, status, media):
    answer = await client.post("Patient/_search", content=form, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == status and answer.headers["content-type"] == f"{media}; charset=utf-8"
    assert (b"\n" in answer.content) == ("_pretty" in form)


async def test_the_handling_that_was_applied_is_told(client):
    assert (await client.get("Patient?colour=red", headers={"Prefer": "handling=lenient"})).headers["preference-applied"] == "handling=lenient"
    assert "preference-applied" not in (await client.get("Patient")).headers


@pytest.mark.parametrize("names", ["name", "Patient.name", "name.family", "Patient.name.family", "name,id"])
async def test_elements_are_named_at_their_top_with_or_without_their_type(client, names):
    await client.put("Patient/a", json=patient(id="a", gender="male", name=[{"family": "x"}]))
    for found in ((await client.get(f"Patient?_elements={names}")).json()["entry"][0]["resource"], (await client.get(f"Patient/a?_elements={names}")).json()):
        assert set(found) == {"resourceType", "id", "meta", "name"}


@pytest.mark.parametrize("address, status", [("Patient/a?_elements=colour", 400), ("Patient/a?_elements=status", 400), ("Patient/a?_elements=Observation.status", 200), ("Patient/a/_history?_elements=colour", 400),
                                             ("Patient/a/Observation?_elements=status", 200), ("Patient/a/*?_elements=status", 200), ("_history?_elements=status", 200), ("metadata?_elements=rest", 200)])
async def test_an_element_that_is_none_is_refused_everywhere(client, address, status):
    await client.put("Patient/a", json=patient(id="a"))
    answer = await client.get(address)
    assert answer.status_code == status
    if status == 400:
        assert issue(answer)["code"] == "not-supported" and issue(answer)["expression"] == ["_elements"]


async def test_a_filter_joins_types_compartments_pages_and_self_links(client):
    await ward(client)
    answer = await client.get("Patient", params={"_filter": 'gender eq male or birthdate ge 2001', "_count": "1"})
    assert links(answer)["self"] == "http://test/fhir/Patient?_filter=gender+eq+male+or+birthdate+ge+2001&_count=1"
    assert sorted(found(answer) + found(await client.get(links(answer)["next"]))) == ["Patient/a", "Patient/b"]
    assert found(await client.get("Patient/a/*?_filter=_id eq oa or _id eq ob")) == ["Observation/oa"]
    assert found(await client.get("Patient/a/Observation?_filter=code eq x and subject.gender eq male")) == ["Observation/oa"]
    assert found(await client.get("?_type=Patient,Observation&_filter=_id eq a or _id eq ob")) == ["Observation/ob", "Patient/a"]
    assert found(await client.post("Patient/_search", content="_filter=not(gender eq male)", headers=FORM)) == ["Patient/b"]
    refused = await client.get("Patient?_filter=gender eq male and nmae eq x")
    assert refused.status_code == 400 and issue(refused)["expression"] == ["_filter"] and "character 20" in issue(refused)["diagnostics"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_self_link_tells_what_was_understood_and_nothing_else(client, method):
    """http://hl7.org/fhir/R4/search.html#conformance: the parameters that were actually used; also of a search by POST, as a GET."""
    await ward(client)
    query = "colour=red&gender=male&name:loud=x&_sort=-birthdate&subject.nothing=1&_filter=nmae eq x&_count=5&_include=Patient:organization&_include=Patient:nobody&_elements=gender"
    lenient = {"Prefer": "handling=lenient"}
    answer = await (client.get(f"Patient?{query}", headers=lenient) if method == "GET" else client.post("Patient/_search", content=query, headers={**FORM, **lenient}))
    assert links(answer)["self"] == "http://test/fhir/Patient?gender=male&_sort=-birthdate&_count=5&_include=Patient:organization&_elements=gender"
    [note] = [e["resource"]["issue"] for e in answer.json()["entry"] if e["search"]["mode"] == "outcome"]
    assert [i["expression"] for i in note] == [["colour"], ["name:loud"], ["subject.nothing"], ["_filter"], ["_include"]]
    assert found(answer) == found(await client.get(links(answer)["self"])) == ["Patient/a"]


@pytest.mark.parametrize("form", ["family=" + "," * 300_000, "family=" + "x" * 1_000_001, "&".join(["gender=male"] * 201), "x" * 2_000 + "=1", "_sort=" + ",".join(["birthdate"] * 9), "_filter=" + "not(" * 600 + "gender eq male" + ")" * 600])
async def test_what_asks_too_much_is_refused_with_the_reason(client, form):
    answer = await client.post("Patient/_search", content=form, headers=FORM)
    assert answer.status_code == 400 and issue(answer)["code"] == "too-costly" and len(issue(answer)["diagnostics"]) < 300
    inside = await client.post("", json={"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": f"Patient?{form.replace(' ', '%20')}"}}]})
    assert inside.json()["entry"][0]["response"]["status"].startswith("400")


async def test_an_address_in_a_bundle_that_no_utf_8_holds_is_refused(client):
    for url in ("Patient?family=\\ud800", "Patient?_filter=family eq \\ud800", "Patient?family=%ED%A0%80"):
        inside = await client.post("", content='{"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": "%s"}}]}' % url.replace("\\\\", "\\"))
        assert inside.status_code == 400 or inside.json()["entry"][0]["response"]["status"].startswith("400"), inside.text


async def test_what_leads_to_no_resource_by_its_id_is_not_followed(client):
    """A document's composition is not the Composition of the server that has its id; https://hl7.org/fhir/R4/bundle.html#search"""
    composition = {"resourceType": "Composition", "status": "final", "type": {"text": "a"}, "date": "2026", "author": [{"display": "b"}], "title": "Title"}
    document = {"resourceType": "Bundle", "type": "document", "identifier": {"system": "urn:s", "value": "1"}, "timestamp": "2026-01-01T00:00:00Z",
                "entry": [{"fullUrl": "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a", "resource": {**composition, "id": "1"}}]}
    for each in ({**composition, "id": "1", "title": "Stranger"}, {**document, "id": "doc"}):
        assert (await client.put(f"{each['resourceType']}/{each['id']}", json=each)).status_code == 201
    assert found(await client.get("Bundle?composition=Composition/1")) == ["Bundle/doc"]
    for search in ("Bundle?composition.title=Stranger", "Composition?_has:Bundle:composition:type=document", "Bundle?_include=Bundle:composition", "Composition?_revinclude=Bundle:composition",
                   "Questionnaire?_has:QuestionnaireResponse:questionnaire:status=completed", "Questionnaire?_filter=_has:QuestionnaireResponse:questionnaire.status eq completed", "Patient?organization.partof:exact=a"):
        refused = await client.get(search)
        assert refused.status_code == 400 and issue(refused)["code"] == "not-supported", search
    assert found(await client.get("Bundle?_include=*")) == ["Bundle/doc"] and found(await client.get("Composition?_revinclude=*")) == ["Composition/1"]
    assert issue(await client.get("Patient?_sort="))["diagnostics"] == "A key of the order is empty."
