"""transaction: all or nothing, in the standard's order, links rewritten. http://hl7.org/fhir/R4/http.html#trules"""
import base64
import itertools

import pytest

from tests.rest.conftest import entry, issue, patient, serving, transaction

A, B = "urn:uuid:00000000-0000-4000-8000-00000000000a", "urn:uuid:00000000-0000-4000-8000-00000000000b"


def observation(subject: str, **more) -> dict:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": subject}, **more}


async def done(client, *entries, **more):
    answer = await client.post("", json=transaction(*entries), **more)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["type"] == "transaction-response" and len(body.get("entry", [])) == len(entries)
    return body.get("entry", [])


async def refused(client, *entries, status: int = 400):
    answer = await client.post("", json=transaction(*entries))
    assert answer.status_code == status, answer.text
    return issue(answer)


def place(each) -> str:
    """`Type/id` of a response's location."""
    return each["response"]["location"].partition("/_history")[0]


async def count(client, type: str = "Patient") -> int:
    return (await client.get(f"{type}?_summary=count")).json()["total"]


async def test_all_kinds_are_done_and_told_in_the_requests_order(client):
    for id in "abc":
        await client.put(f"Patient/{id}", json=patient(id=id, gender="male"))
    change = base64.b64encode(b'[{"op":"replace","path":"/gender","value":"other"}]').decode()
    told = await done(
        client,
        entry("GET", "Patient?gender=other"),
        entry("PATCH", "Patient/c", {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": change}),
        entry("PUT", "Patient/b", patient(id="b", gender="female")),
        entry("POST", "Patient", patient(gender="other")),
        entry("DELETE", "Patient/a"),
    )
    assert [e["response"]["status"][:3] for e in told] == ["200", "200", "200", "201", "204"]
    assert told[0]["resource"]["total"] == 2, "reads come after all writes"
    assert (await client.get("Patient/a")).status_code == 410


async def test_the_outcome_does_not_depend_on_the_order_of_entries(client):
    entries = [entry("POST", "Patient", patient(identifier=[{"value": "1"}]), full=A), entry("POST", "Observation", observation(A)), entry("DELETE", "Patient/x")]
    for order in itertools.permutations(entries):
        told = await done(client, *order)
        places = {e["request"]["url"]: t for e, t in zip(order, told)}
        made = await client.get(place(places["Observation"]))
        assert made.json()["subject"]["reference"] == place(places["Patient"])


async def test_links_are_rewritten_wherever_they_stand(client):
    body = observation(A, extension=[{"url": "http://example.org/e", "valueUri": B}, {"url": "http://example.org/r", "valueReference": {"reference": B}}],
                       text={"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{A}">a</a><img src="{B}"/></div>'},
                       contained=[{"resourceType": "Provenance", "id": "p", "target": [{"reference": A}, {"reference": "#"}], "recorded": "2020-01-01T00:00:00Z", "agent": [{"who": {"reference": B}}]}])
    a, b, o = await done(client, entry("POST", "Patient", patient(), full=A), entry("POST", "Patient", patient(), full=B), entry("POST", "Observation", body))
    made = (await client.get(place(o))).json()
    assert made["subject"]["reference"] == place(a)
    assert made["extension"][0]["valueUri"] == place(b) and made["extension"][1]["valueReference"]["reference"] == place(b)
    assert f'href="{place(a)}"' in made["text"]["div"] and f'src="{place(b)}"' in made["text"]["div"]
    assert made["contained"][0]["target"][0]["reference"] == place(a) and made["contained"][0]["agent"][0]["who"]["reference"] == place(b)


async def test_what_is_stored_is_judged_not_what_its_references_were_before(client):
    """The type of what `urn:uuid:` names is known in the transaction alone."""
    medication = {"resourceType": "Medication"}
    answer = await client.post("", json=transaction(entry("POST", "Medication", medication, full=A), entry("POST", "Observation", observation(A))))
    assert answer.status_code == 400 and answer.json()["issue"][0]["expression"] == ["Bundle.entry[1].resource.subject"], answer.text
    assert await count(client) == 0


async def test_circles_of_references_are_resolved(client):
    a, b = await done(client, entry("POST", "Patient", patient(link=[{"other": {"reference": B}, "type": "seealso"}]), full=A),
                      entry("POST", "Patient", patient(link=[{"other": {"reference": A}, "type": "seealso"}]), full=B))
    assert (await client.get(place(a))).json()["link"][0]["other"]["reference"] == place(b)
    assert (await client.get(place(b))).json()["link"][0]["other"]["reference"] == place(a)


async def test_a_reference_follows_a_create_that_found_its_resource(client):
    await client.put("Patient/a", json=patient(id="a", identifier=[{"value": "1"}]))
    found, o = await done(client, entry("POST", "Patient", patient(identifier=[{"value": "1"}]), full=A, ifNoneExist="identifier=1"), entry("POST", "Observation", observation(A)))
    assert found["response"]["status"].startswith("200") and place(found) == "Patient/a"
    assert (await client.get(place(o))).json()["subject"]["reference"] == "Patient/a"
    assert await count(client) == 1


async def test_a_full_url_of_another_server_is_rewritten_to_the_new_place(client):
    full = "http://elsewhere.example.org/fhir/Patient/77"
    a, o, p = await done(client, entry("POST", "Patient", patient(id="77"), full=full), entry("POST", "Observation", observation("Patient/77"), full="http://elsewhere.example.org/fhir/Observation/1"),
                         entry("POST", "Observation", observation(full), full="http://elsewhere.example.org/fhir/Observation/2"))
    for each in (o, p):
        assert (await client.get(place(each))).json()["subject"]["reference"] == place(a)


async def test_references_to_what_is_not_in_the_bundle_stay(client):
    o, = await done(client, entry("POST", "Observation", observation("Patient/unknown")))
    assert (await client.get(place(o))).json()["subject"]["reference"] == "Patient/unknown"


async def test_conditional_references_are_resolved(client):
    await client.put("Patient/a", json=patient(id="a", identifier=[{"system": "urn:s", "value": "1"}]))
    o, = await done(client, entry("POST", "Observation", observation("Patient?identifier=urn:s|1")))
    assert (await client.get(place(o))).json()["subject"]["reference"] == "Patient/a"


@pytest.mark.parametrize("matches", [0, 2])
async def test_a_conditional_reference_without_a_single_match_fails_the_whole(client, matches):
    for n in range(matches):
        await client.post("Patient", json=patient(identifier=[{"value": "1"}]))
    told = await refused(client, entry("POST", "Organization", {"resourceType": "Organization", "name": "O"}), entry("POST", "Observation", observation("Patient?identifier=1")), status=412)
    assert any("Bundle.entry[1]" in p for p in told["expression"])
    assert await count(client, "Organization") == 0


@pytest.mark.parametrize("bad, status", [
    (entry("POST", "Patient", patient(gender="blue")), 400),
    (entry("PUT", "Patient/q", patient(id="r")), 400),
    (entry("PUT", "Patient/a", patient(id="a"), ifMatch='W/"9"'), 412),
    (entry("PATCH", "Patient/nobody", {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W10="}), 404),
    (entry("GET", "Patient/nobody"), 404),
    (entry("GET", "Patient?colour=red"), 400),
    (entry("GET", "Nothing"), 404),
    (entry("POST", "Patient"), 400),
    (entry("DELETE", "Patient/a", ifMatch='W/"9"'), 412),
    (entry("DELETE", "Patient"), 400),
    (entry("PUT", "Patient?_format=json", patient()), 400),
    (entry("DELETE", "AuditEvent/1"), 405),
    (entry("PUT", "Patient?identifier=1", patient()), 412),
    (entry("POST", "Patient", patient(), ifNoneExist="identifier=1"), 412),
    (entry("POST", "/", {"resourceType": "Bundle", "type": "batch"}), 400),
    (entry("POST", "Patient/$op", {"resourceType": "Parameters"}), 405),
])
async def test_one_failing_entry_leaves_no_trace_and_is_named(client, bad, status):
    await client.put("Patient/a", json=patient(id="a"))
    for _ in range(2):
        await client.post("Patient", json=patient(identifier=[{"value": "1"}]))
    told = await refused(client, entry("PUT", "Patient/new", patient(id="new")), entry("POST", "Organization", {"resourceType": "Organization", "name": "O"}), bad, status=status)
    assert any(p.startswith("Bundle.entry[2]") for p in told["expression"]), told
    assert (await client.get("Patient/new")).status_code == 404 and await count(client, "Organization") == 0
    assert (await client.get("Patient/a")).headers["etag"] == 'W/"1"'


@pytest.mark.parametrize("entries", [
    (entry("PUT", "Patient/a", patient(id="a")), entry("PUT", "Patient/a", patient(id="a", gender="male"))),
    (entry("PUT", "Patient/a", patient(id="a")), entry("DELETE", "Patient/a")),
    (entry("PUT", "Patient/a", patient(id="a")), entry("PUT", "Patient?identifier=1", patient(identifier=[{"value": "1"}]))),
    (entry("DELETE", "Patient/a"), entry("DELETE", "Patient?identifier=1")),
    (entry("DELETE", "Patient?identifier=1"), entry("PUT", "Patient/a", patient(id="a"))),
    (entry("POST", "Patient", patient(), full=A), entry("POST", "Patient", patient(), full=A)),
    (entry("PUT", "Patient?identifier=9", patient()), entry("PUT", "Patient?identifier=9", patient())),
])
async def test_a_resource_stands_in_a_transaction_once(client, entries):
    await client.put("Patient/a", json=patient(id="a", identifier=[{"value": "1"}]))
    await refused(client, *entries)
    assert (await client.get("Patient/a")).headers["etag"] == 'W/"1"' and await count(client) == 1


async def test_two_equal_conditional_creates_make_one_resource(client):
    both = [entry("POST", "Patient", patient(identifier=[{"value": "1"}]), full=full, ifNoneExist="identifier=1") for full in (A, B)]
    answer = await client.post("", json=transaction(*both))
    assert answer.status_code in (200, 400)
    assert await count(client) <= 1


async def test_reads_see_what_the_transaction_wrote(client):
    read, put, found = await done(client, entry("GET", "Patient/a"), entry("PUT", "Patient/a", patient(id="a", gender="male")), entry("GET", "Patient?gender=male"))
    assert read["resource"]["gender"] == "male" and read["response"]["etag"] == 'W/"1"'
    assert found["resource"]["total"] == 1


async def test_a_read_of_what_the_transaction_deletes_fails_it(client):
    await client.put("Patient/a", json=patient(id="a"))
    await refused(client, entry("GET", "Patient/a"), entry("DELETE", "Patient/a"), status=410)
    assert (await client.get("Patient/a")).status_code == 200


async def test_a_transaction_of_reads_alone_is_answered(client):
    await client.put("Patient/a", json=patient(id="a"))
    one, two = await done(client, entry("GET", "Patient/a"), entry("GET", "Patient?_id=a"))
    assert one["resource"]["id"] == "a" and two["resource"]["total"] == 1


async def test_an_empty_transaction_is_no_error(client):
    assert await done(client) == []


async def test_many_may_be_deleted_by_one_condition(client):
    for id in "ab":
        await client.put(f"Patient/{id}", json=patient(id=id, identifier=[{"value": "1"}]))
    gone, = await done(client, entry("DELETE", "Patient?identifier=1"))
    assert gone["response"]["status"].startswith("204") and await count(client) == 0


async def test_prefer_and_views_apply_to_a_transaction(client):
    whole, = await done(client, entry("POST", "Patient", patient(gender="male")), headers={"Prefer": "return=representation"})
    assert whole["resource"]["gender"] == "male"
    answer = await client.post("?_elements=gender&_pretty=true", json=transaction(entry("POST", "Patient", patient(gender="male", birthDate="2001"))), headers={"Prefer": "return=representation"})
    assert "birthDate" not in answer.json()["entry"][0]["resource"] and '\n  "type": "transaction-response"' in answer.text


async def test_ids_of_creates_are_the_servers_and_of_updates_the_clients(client):
    made, put = await done(client, entry("POST", "Patient", patient(id="mine")), entry("PUT", "Patient/theirs", patient(id="theirs")))
    assert place(made) != "Patient/mine" and place(put) == "Patient/theirs"


async def test_numbers_come_through_as_written(client):
    text = ('{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"PUT","url":"Observation/o"},"resource":{"resourceType":"Observation","id":"o",'
            '"status":"final","code":{"text":"x"},"valueQuantity":{"value":1.50e2}}}]}')
    assert (await client.post("", content=text)).status_code == 200
    assert '"value":1.50e2' in (await client.get("Observation/o")).text


async def test_more_entries_than_the_limit_are_413_with_the_limit():
    async with serving(bundle_limit=3) as client:
        told = await refused(client, *(entry("POST", "Patient", patient()) for _ in range(4)), status=413)
        assert told["code"] == "too-long" and "3" in told["diagnostics"]
        assert await count(client) == 0
        assert (await client.post("", json=transaction(*(entry("GET", "Patient") for _ in range(4)), kind="batch"))).status_code == 413


async def test_a_thousand_entries_are_one_commit(client):
    told = await done(client, entry("POST", "Patient", patient(), full=A), *(entry("POST", "Observation", observation(A)) for _ in range(999)))
    made = await client.get(place(told[999]))
    assert made.json()["subject"]["reference"] == place(told[0])
    assert await count(client, "Observation") == 999


async def test_enforced_references_must_resolve_within_or_without():
    async with serving(enforce_references=True) as client:
        await refused(client, entry("POST", "Observation", observation("Patient/nobody")), status=422)
        await done(client, entry("POST", "Patient", patient(), full=A), entry("POST", "Observation", observation(A)))


@pytest.mark.parametrize("version, status", [("1", 201), ("2", 422), ("0", 422), ("x", 422)])
async def test_an_enforced_reference_to_a_version_must_name_one_that_was(version, status):
    async with serving(enforce_references=True) as client:
        await client.put("Patient/p", json=patient(id="p"))
        assert (await client.post("Observation", json=observation(f"Patient/p/_history/{version}"))).status_code == status


@pytest.mark.parametrize("subject, status", [("Patient/9", 201), ("http://elsewhere.example/fhir/Patient/9", 201), ("Patient/8", 422)])
async def test_references_in_a_stored_bundle_resolve_to_its_own_entries_where_they_are_enforced(subject, status):
    """http://hl7.org/fhir/R4/bundle.html#references"""
    whole = {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": "http://elsewhere.example/fhir/Patient/9", "resource": patient(id="9")},
             {"fullUrl": "http://elsewhere.example/fhir/Observation/1", "resource": observation(subject, id="1")}]}
    async with serving(enforce_references=True) as client:
        assert (await client.post("Bundle", json=whole)).status_code == status


# the order of entries decides nothing


def named(value: str, **more) -> dict:
    return patient(identifier=[{"system": "urn:t", "value": value}], **more)


ORGANIZATION = {"resourceType": "Organization", "name": "x", "identifier": [{"value": "o"}]}


@pytest.mark.parametrize("entries", [
    (entry("POST", "Patient", named("1")), entry("POST", "Observation", observation("Patient?identifier=urn:t|1"))),
    (entry("PUT", "Patient/a", named("1", id="a")), entry("POST", "Observation", observation("Patient?identifier=1"))),
    (entry("POST", "Organization", ORGANIZATION), entry("PUT", "Patient/a", named("1", id="a", managingOrganization={"reference": "Organization?identifier=o"})),
     entry("POST", "Observation", observation("Patient?identifier=1"))),
])
async def test_a_conditional_reference_finds_what_the_transaction_brings_wherever_it_stands(client, entries):
    for order in itertools.permutations(entries):
        told = await done(client, *order)
        at = {e["request"]["url"].partition("/")[0]: place(t) for e, t in zip(order, told)}
        assert (await client.get(at["Observation"])).json()["subject"]["reference"] == at["Patient"]
        await client.delete("Patient?identifier=1")
        await client.delete("Organization?identifier=o")


@pytest.mark.parametrize("order", [1, -1])
async def test_conditional_references_that_wait_for_each_other_fail_the_whole(client, order):
    entries = [entry("POST", "Patient", named("1", link=[{"other": {"reference": "Patient?identifier=2"}, "type": "seealso"}])),
               entry("POST", "Patient", named("2", link=[{"other": {"reference": "Patient?identifier=1"}, "type": "seealso"}]))]
    assert "matches nothing" in (await refused(client, *entries[::order], status=412))["diagnostics"]
    assert await count(client) == 0


@pytest.mark.parametrize("order", [1, -1])
async def test_a_conditional_reference_that_finds_more_once_all_is_written_fails_the_whole(client, order):
    await client.put("Patient/a", json=named("1", id="a"))
    entries = [entry("POST", "Observation", observation("Patient?identifier=1")), entry("POST", "Patient", named("1", generalPractitioner=[{"reference": "Organization?identifier=o"}])),
               entry("POST", "Organization", ORGANIZATION)]
    assert (await refused(client, *entries[::order], status=412))["code"] == "multiple-matches"
    assert await count(client, "Organization") == 0


@pytest.mark.parametrize("order", [1, -1])
async def test_a_conditional_create_does_not_find_what_the_transaction_deletes(client, order):
    await client.put("Patient/a", json=named("1", id="a"))
    told = await done(client, *[entry("POST", "Patient", named("1"), ifNoneExist="identifier=1"), entry("DELETE", "Patient/a")][::order])
    assert [t["response"]["status"][:3] for t in told][::order] == ["201", "204"]
    assert (await client.get("Patient?identifier=1")).json()["total"] == 1


@pytest.mark.parametrize("order", [1, -1])
async def test_a_conditional_update_does_not_mean_what_the_transaction_creates(client, order):
    told = await refused(client, *[entry("POST", "Patient", named("1")), entry("PUT", "Patient?identifier=1", named("1"))][::order], status=412)
    assert told["expression"] == ["Bundle.entry[1]" if order == 1 else "Bundle.entry[0]"]
    assert await count(client) == 0


# other forms of references


@pytest.mark.parametrize("order", [1, -1])
async def test_a_reference_to_a_version_stays_one_and_names_the_new_version(client, order):
    await client.put("Patient/b", json=patient(id="b"))
    entries = [entry("POST", "Patient", patient(), full="http://elsewhere.example/fhir/Patient/77"),
               entry("PUT", "Patient/b", patient(id="b", gender="male"), full="http://elsewhere.example/fhir/Patient/b"),
               entry("POST", "Observation", observation("http://elsewhere.example/fhir/Patient/77/_history/5", focus=[
                   {"reference": "Patient/77/_history/5"}, {"reference": "http://elsewhere.example/fhir/Patient/b/_history/9"}, {"reference": "Patient/b/_history/1"}]))]
    told = (await done(client, *entries[::order]))[::order]
    made = (await client.get(place(told[2]))).json()
    assert made["subject"]["reference"] == f"{place(told[0])}/_history/1"
    assert [f["reference"] for f in made["focus"]] == [f"{place(told[0])}/_history/1", "Patient/b/_history/2", "Patient/b/_history/1"]


async def test_a_fragment_of_an_entry_is_followed(client):
    told = await done(client, entry("POST", "Patient", patient(), full=A), entry("POST", "Observation", observation(A + "#x")))
    assert (await client.get(place(told[1]))).json()["subject"]["reference"] == place(told[0]) + "#x"


async def test_references_in_a_stored_bundle_mean_its_own_entries_first(client):
    inner = {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": A, "resource": patient()}, {"fullUrl": "urn:uuid:00000000-0000-4000-8000-00000000000c", "resource": observation(A, focus=[{"reference": B}])}]}
    told = await done(client, entry("POST", "Patient", patient(), full=A), entry("POST", "Patient", patient(), full=B), entry("POST", "Bundle", inner))
    kept = (await client.get(place(told[2]))).json()["entry"]
    assert kept[0]["fullUrl"] == A and kept[1]["resource"]["subject"]["reference"] == A and kept[1]["resource"]["focus"][0]["reference"] == place(told[1])


async def test_references_in_a_patch_are_rewritten(client):
    await client.put("Patient/b", json=patient(id="b"))
    change = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "add"}, {"name": "path", "valueString": "Patient"}, {"name": "name", "valueString": "managingOrganization"}, {"name": "value", "valueReference": {"reference": A}}]}]}
    told = await done(client, entry("PATCH", "Patient/b", change), entry("POST", "Organization", ORGANIZATION, full=A))
    assert (await client.get("Patient/b")).json()["managingOrganization"]["reference"] == place(told[1])


async def test_all_faults_of_all_entries_are_told_at_once(client):
    answer = await client.post("", json=transaction(entry("POST", "Patient", patient(gender="blue", colour="red")), entry("POST", "Patient", patient()), entry("PUT", "Patient/a", patient(id="a", birthDate="x"))))
    assert answer.status_code == 400
    assert [i["expression"][0] for i in answer.json()["issue"]] == ["Bundle.entry[0].resource.gender", "Bundle.entry[0].resource.colour", "Bundle.entry[2].resource.birthDate"]
    assert await count(client) == 0


@pytest.mark.parametrize("order", [1, -1])
async def test_a_full_url_means_what_is_there_afterwards(client, order):
    await client.put("Patient/a", json=patient(id="a"))
    entries = [entry("DELETE", "Patient/a", full=A), entry("POST", "Patient", patient(), full=A), entry("POST", "Observation", observation(A))]
    told = (await done(client, *entries[::order]))[::order]
    assert (await client.get(place(told[2]))).json()["subject"]["reference"] == place(told[1])


@pytest.mark.parametrize("url", ["Patient/%00", "Patient/%FF", "Patient?name=%00", "Patient?name=%FF"])
async def test_nul_and_what_is_not_utf8_is_refused_in_an_entry_too(client, url):
    await refused(client, entry("GET", url))


async def test_conditional_creates_under_one_condition_are_alike(client):
    told = await refused(client, entry("POST", "Patient", named("1"), ifNoneExist="identifier=1"), entry("POST", "Patient", named("1", gender="male"), ifNoneExist="?identifier=1"))
    assert "different content" in told["diagnostics"] and told["expression"] == ["Bundle.entry[1]"]


@pytest.mark.parametrize("second", ["Patient?identifier=s|2", "Patient?family=甲", "Patient/{id}"])
async def test_two_deletes_of_one_transaction_do_not_mean_one_resource(client, second):
    """https://hl7.org/fhir/R4/http.html#trules: overlapping identities fail, conditional deletes included."""
    both = (await client.post("Patient", json=patient(identifier=[{"system": "s", "value": "1"}, {"system": "s", "value": "2"}], name=[{"family": "甲"}]))).json()
    outcome = await refused(client, entry("DELETE", "Patient?identifier=s|1"), entry("DELETE", second.format(id=both["id"])))
    assert outcome["expression"] == ["Bundle.entry[1]"]
    assert await count(client) == 1


async def test_conditional_creates_whose_conditions_say_the_same_make_one_resource(client):
    twice = [entry("POST", "Patient", named("n"), ifNoneExist=condition) for condition in ("identifier=urn:t|n&active:missing=true", "active:missing=true&identifier=urn:t%7Cn")]
    assert [e["response"]["status"][:3] for e in await done(client, *twice)] == ["201", "200"]
    assert await count(client) == 1


async def test_two_conditional_updates_do_not_mean_one_new_resource(client):
    await refused(client, entry("PUT", "Patient?identifier=urn:t|n", named("n")), entry("PUT", "Patient?identifier=urn:t|n&active:missing=true", named("n")), status=412)
    assert await count(client) == 0
