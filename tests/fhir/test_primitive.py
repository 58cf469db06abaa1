"""The primitive types with their limits. https://hl7.org/fhir/R4/datatypes.html#primitive"""
from __future__ import annotations

import pytest

from app.fhir import definitions, json, primitive

MEGABYTE = "a" * 1024 * 1024
WHOLE = ["1", "2147483647"]
NO_WHOLE = ["2147483648", "1.0", "1e2", '"1"', "true", "null", "[1]"]
DATES = ['"1905"', '"2026-02"', '"2026-02-03"', '"2024-02-29"', '"2000-02-29"', '"0001-01-01"', '"9999-12-31"']
NO_DATES = ['"0000"', '"26"', '"2026-13"', '"2026-00"', '"2026-2-3"', '"2026-02-30"', '"2023-02-29"', '"1900-02-29"', '"2026/02/03"', '"20260203"', '" 2026"', '""', "2026", '"2026-02-03T"']
TIMES = ['"2026-02-03T04:05:06Z"', '"2026-02-03T04:05:06+08:00"', '"2026-02-03T04:05:06-14:00"', '"2026-02-03T04:05:06+14:00"', '"2026-02-03T04:05:06.123456Z"', '"2016-12-31T23:59:60Z"', '"2026-02-03T00:00:00Z"']
NO_TIMES = ['"2026-02-03T04:05Z"', '"2026-02-03T04:05:06"', '"2026-02-03T24:00:00Z"', '"2026-02-03T04:05:61Z"', '"2026-02-03T04:60:00Z"', '"2026-02-03T04:05:06+14:30"', '"2026-02-03 04:05:06Z"', '"2026-02-03T04:05:06z"', '"2026-02-30T04:05:06Z"',
            '"2026-02-03T04:05:06.Z"', '"2026-02T04:05:06Z"']
TEXT = ['"a"', '" a "', '"第 一\\n\\t\\r"', f'"{MEGABYTE}"'], ['""', '" "', '"\\n"', '"a\\u0008"', '"\\u001f"', "5", "true", f'"{MEGABYTE}a"', '["a"]']
URIS = ['"http://example.org/a?b=c#d"', '"urn:oid:1.2.3"', '"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"', '"Patient/1"', '"#a"', '"mailto:a@b.example"'], ['""', '"a b"', '" a"', '"a\\n"', "5"]
FORMATS = {
    "boolean": (["true", "false"], ['"true"', "0", "1", "null", '""']),
    "integer": ([*WHOLE, "0", "-1", "-2147483648"], [*NO_WHOLE, "-2147483649"]), "unsignedInt": ([*WHOLE, "0"], [*NO_WHOLE, "-1"]), "positiveInt": (WHOLE, [*NO_WHOLE, "0", "-1"]),
    "decimal": (["0", "-1", "1.10", "1e2", "-1.5E-3", "0.000000000000000001", "123456789012345678.9"], ['"1"', "true", "null"]),
    "string": TEXT, "markdown": TEXT,
    "uri": URIS, "url": URIS, "canonical": (URIS[0] + ['"http://example.org/a|1.0"'], URIS[1]),
    "oid": (['"urn:oid:1.2.3"', '"urn:oid:2.16.156.10011.1.3"', '"urn:oid:0.0"'], ['"1.2.3"', '"urn:oid:3.1"', '"urn:oid:1.02"', '"urn:oid:1"', '"urn:oid:1.2."', '"URN:OID:1.2"', '""']),
    "uuid": (['"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"'], ['"c757873d-ec9a-4326-a141-556f43239520"', '"urn:uuid:C757873D-EC9A-4326-A141-556F43239520"', '"urn:uuid:c757873d"', '""']),
    "id": (['"a"', '"A-1.b"', f'"{"a" * 64}"'], ['""', f'"{"a" * 65}"', '"a_b"', '"a b"', '"a/b"', '"é"', "1"]),
    "code": (['"a"', '"a b"', '"a-b.c"', '"中"'], ['""', '" a"', '"a "', '"a  b"', '"a\\n"', "1"]),
    "date": (DATES, [*NO_DATES, *TIMES]), "dateTime": (DATES + TIMES, NO_DATES + NO_TIMES), "instant": (TIMES, [*NO_DATES, *NO_TIMES, '"2026"', '"2026-02-03"']),
    "time": (['"08:30:00"', '"23:59:60"', '"00:00:00.5"'], ['"8:30:00"', '"08:30"', '"24:00:00"', '"08:30:00Z"', '"08:30:00+08:00"', '"08:60:00"', '""', "830"]),
    "base64Binary": (['"QUJD"', '"QUI="', '"QQ=="', '"QU JD"', '"QUJD\\nQUJD"'], ['"QUJ"', '"Q==="', '"QU=D"', '"é"', '""', '" "', "5", '"QU-_"']),
    "xhtml": (['"<div>a</div>"'], ['""', "5"]),
}


def read(text: str):
    return json.loads(b'{"x":' + text.encode() + b"}")["x"]


def test_each_primitive_type_is_held_here():
    assert set(FORMATS) == set(definitions.PRIMITIVES)


@pytest.mark.parametrize("type", FORMATS)
def test_a_value_is_what_its_type_says(type):
    good, bad = FORMATS[type]
    assert [text[:80] for text in good if primitive.check(type, read(text))] == []
    assert [text[:80] for text in bad if not primitive.check(type, read(text))] == []


def test_a_message_shows_the_value_and_the_right_form():
    assert primitive.check("oid", "1.2.3") == "'1.2.3' is not an OID, such as urn:oid:1.2.156.10011."
    assert primitive.check("boolean", "是") == "'是' is not true or false, without quotes."
    assert primitive.check("string", MEGABYTE + "a").startswith("'aaa") and len(primitive.check("string", MEGABYTE + "a")) < 200
