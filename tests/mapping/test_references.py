"""References of imported records, on both stores: by key, by lookup, held until their target comes."""
from __future__ import annotations

import pytest

from app.fhir import json as fhir
from app.mapping import feed
from app.mapping.document import Mistake
from app.records import Change, Records
from tests.conftest import operator
from tests.mapping.making import HEAD, compiled, export, row, write

ORDER = """  order:
    type: ServiceRequest
    key: [order, = 号]
    identifier: [{system: "urn:h:order", value: = 号}]
    status: active
    intent: order
    subject: {type: Patient, display: = 名 | required}
    replaces: ["= ref(order, 值)"]
"""
REPORT = """  report:
    type: DiagnosticReport
    key: [report, = 号]
    status: final
    code: {text: = 名 | required}
    basedOn: ["= 值 | lookup(ServiceRequest, 'urn:h:order')"]
"""


def mappings(folder, **resources: str):
    """A mapping of each of these names, of one site."""
    return [compiled(folder / name, text, head=HEAD.replace("people", name)) for name, text in resources.items()]


async def stored(world, type: str) -> list[dict]:
    return [fhir.loads(entry.text) for entry in (await Records(world, operator()).search((type,), [("_sort", "_lastUpdated")])).entries]


async def test_a_record_waits_for_what_it_refers_to_and_comes_in_by_itself_in_the_same_run(world, tmp_path):
    orders, = mappings(tmp_path, orders=ORDER)
    done = await feed.run(world, orders, export(tmp_path / "o.csv", "3,丙,2,", "2,乙,1,", "1,甲,,", "4,丁,9,"), out=tmp_path / "out")
    assert (done.records, done.accepted, done.by_code, done.held) == (4, 3, {"dangling": 1}, 1)
    assert [(one.row, one.code, one.column) for one in done.rejects] == [(5, "dangling", "值")] and "is not here yet" in done.rejects[0].message
    assert done.resources["ServiceRequest"]["created"] == 3 and len(await stored(world, "ServiceRequest")) == 3
    assert [one[1:] for one in done.dangling] == [("值", 1, 5)] and (tmp_path / "out" / "dangling.csv").read_text().splitlines()[1].endswith(",值,1,5")
    again = await feed.run(world, orders, tmp_path / "o.csv")
    assert again.already and (again.accepted, again.held) == (3, 1)


async def test_a_later_run_brings_in_what_earlier_ones_hold_and_their_ledger_says_so(world, tmp_path):
    orders, reports = mappings(tmp_path, orders=ORDER, reports=REPORT)
    held = await feed.run(world, reports, export(tmp_path / "r.csv", "1,胸片,7,", "2,头颅CT,8,"))
    assert (held.accepted, held.held, await stored(world, "DiagnosticReport")) == (0, 2, [])
    await feed.run(world, orders, export(tmp_path / "o.csv", "7,甲,,"))
    order, report = (await stored(world, "ServiceRequest"))[0], (await stored(world, "DiagnosticReport"))[0]
    assert report["basedOn"] == [{"reference": f"ServiceRequest/{order['id']}"}] and report["meta"]["source"].startswith("urn:fhir-import:h/reports#")
    told = await feed.run(world, reports, tmp_path / "r.csv")
    assert told.already and (told.records, told.accepted, told.held, [one.row for one in told.rejects]) == (2, 1, 1, [3])


async def test_a_lookup_stays_with_the_sites_own_and_two_are_ambiguous(world, tmp_path):
    orders, reports = mappings(tmp_path, orders=ORDER, reports=REPORT)
    theirs = {"resourceType": "ServiceRequest", "id": "x-1", "identifier": [{"system": "urn:h:order", "value": "7"}], "status": "active", "intent": "order", "subject": {"display": "x"}}
    await Records(world, operator()).commit([Change("update", "ServiceRequest", "x-1", theirs)])
    assert (await feed.run(world, reports, export(tmp_path / "r.csv", "1,胸片,7,"))).held == 1
    for id in ("h-1", "h-2"):
        await Records(world, feed.caller(orders.site)).commit([Change("update", "ServiceRequest", id, {**theirs, "id": id, "identifier": [{"system": "urn:h:order", "value": "a,b|8"}]})])
    done = await feed.run(world, reports, export(tmp_path / "r2.csv", '2,胸片,"a,b|8",'))
    assert [(one.code, one.column) for one in done.rejects] == [("ambiguous", "值")] and await stored(world, "DiagnosticReport") == []


@pytest.mark.parametrize("first", ["1,甲,,", "2,乙,1,"])
async def test_a_dry_run_tells_what_would_be_held_and_what_would_come_in(sqlite_world, tmp_path, first):
    orders, = mappings(tmp_path, orders=ORDER)
    rest = {"1,甲,,": "2,乙,1,", "2,乙,1,": "1,甲,,"}[first]
    done = await feed.run(sqlite_world, orders, export(tmp_path / "o.csv", first, rest, "3,丙,9,"), dry=True)
    assert (done.records, done.accepted, done.held) == (3, 2, 1) and await stored(sqlite_world, "ServiceRequest") == []


async def test_a_lookup_finds_what_an_earlier_row_of_the_same_chunk_made(world, tmp_path):
    both, = mappings(tmp_path, both=ORDER.replace("ref(order, 值)", "值 | lookup(ServiceRequest, 'urn:h:order')"))
    done = await feed.run(world, both, export(tmp_path / "o.csv", "1,甲,,", "2,乙,1,"))
    assert done.accepted == 2 and [len(one.get("replaces", [])) for one in await stored(world, "ServiceRequest")] in ([0, 1], [1, 0])


async def test_a_reference_to_a_resource_of_another_mapping_is_known_by_its_key_alone(world, tmp_path):
    write(tmp_path / "notes", ORDER).rename(tmp_path / "notes" / "mappings" / "h" / "orders.yaml")
    orders, notes = mappings(tmp_path, orders=ORDER, notes="""  note:
    type: Communication
    key: [note, = 号]
    status: completed
    basedOn: ["= ref(orders.order, 值)"]
""")
    assert notes.apply(row("1", "甲", "007"))[0].resource["basedOn"][0]["reference"] == f"ServiceRequest/{orders.apply(row('7', '甲', None))[0].resource['id']}"


@pytest.mark.parametrize("name, said", [("orders.order, 号, 值", "has 1 parts"), ("orders.other, 号", "MAPPING.RESOURCE"), ("x/y.order, 号", "cannot read"), ("orders.order", "has 1 parts")])
def test_a_reference_to_what_no_mapping_makes_is_a_mistake(tmp_path, name, said):
    write(tmp_path, ORDER, head=HEAD.replace("people", "orders")).rename(tmp_path / "mappings" / "h" / "orders.yaml")
    with pytest.raises(Mistake, match=said):
        compiled(tmp_path, f"  note:\n    type: Communication\n    key: [note, = 号]\n    status: completed\n    basedOn: ['= ref({name})']\n")


async def test_a_lookup_may_leave_the_identifier_alone_where_nothing_is_found(world, tmp_path):
    reports, = mappings(tmp_path, reports=REPORT.replace("order')", "order', missing=logical)"))
    done = await feed.run(world, reports, export(tmp_path / "r.csv", "1,胸片,7,"))
    assert done.accepted == 1 and (await stored(world, "DiagnosticReport"))[0]["basedOn"] == [{"type": "ServiceRequest", "identifier": {"system": "urn:h:order", "value": "7"}}]
