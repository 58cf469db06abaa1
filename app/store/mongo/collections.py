"""The collections of the MongoDB store, their fields and indexes, and how entries, facts and access records become documents.

mongoengine declares them; https://docs.mongoengine.org/guide/defining-documents.html. What runs often speaks to pymongo itself.

The four indexes on rows lead with copies of the parameter's name that only rows with a code, a text or a range carry: a row costs an
entry in those indexes alone that can find it. Words are found by their pieces, which an entry has once each.
"""
from __future__ import annotations

from bson import Binary
from mongoengine import BinaryField, BooleanField, Document, DynamicField, EmbeddedDocument, EmbeddedDocumentListField, IntField, ListField, StringField, UUIDField

from app.search.query import Row
from app.search.words import pieces
from app.store.base import Access, Entry, Event, Fact

ROWS = 2_000
"""Rows beyond this many go to side documents of as many each."""
LONG = 1_000
"""Characters of a row that make it weigh as one more."""
TEXT = 4 * 1024 * 1024
"""Bytes of a text beyond which it goes to side documents of as many each (a document ends at 16 MB)."""


class OneRow(EmbeddedDocument):
    """An index row. `coded`, `worded`, `ranged`: the parameter again, where there is a code, a text, a range."""

    param = StringField(db_field="p")
    group = IntField(db_field="g")
    system = StringField(db_field="s")
    code = StringField(db_field="c")
    text = StringField(db_field="t")
    low = DynamicField(db_field="l")
    high = DynamicField(db_field="h")
    words = StringField(db_field="w")
    coded = StringField(db_field="pc")
    worded = StringField(db_field="pt")
    ranged = StringField(db_field="pr")


BY_ROW = [
    {"name": "rows_code", "fields": ["rows.coded", "rows.code", "_id"]},
    {"name": "rows_text", "fields": ["rows.worded", "rows.text", "_id"]},
    {"name": "rows_low", "fields": ["rows.ranged", "rows.low", "rows.high", "_id"]},
    {"name": "rows_high", "fields": ["rows.ranged", "rows.high", "_id"]},
    {"name": "pieces", "fields": ["pieces", "_id"]},
]


class Entries(Document):
    """One version a document. `pieces` are those of the words of its rows, `bits` are the labels one by one, `ended` the `updated` of its successor, `due` the same
    until its rows are swept, `parts` the number of texts aside."""

    number = IntField(primary_key=True)
    ref = StringField()
    type = StringField()
    name = StringField(db_field="id")
    version = IntField()
    born = IntField()
    died = IntField()
    ended = IntField()
    due = IntField()
    updated = IntField()
    custodian = StringField()
    about = ListField(StringField())
    many = IntField()
    labels = IntField()
    bits = ListField(IntField())
    date = IntField()
    guard = StringField()
    writer = StringField()
    hash = BinaryField()
    deleted = BooleanField()
    purged = BooleanField()
    method = StringField()
    text = BinaryField()
    parts = IntField()
    pieces = ListField(StringField())
    rows = EmbeddedDocumentListField(OneRow)
    meta = {"collection": "entries", "auto_create_index": False, "indexes": [
        {"name": "version", "fields": ["type", "name", "version"], "unique": True},
        {"name": "type", "fields": ["type", "_id"]},
        {"name": "updated", "fields": ["type", "updated", "_id"]},
        {"name": "about", "fields": ["about", "type", "_id"]},
        {"name": "custodian", "fields": ["custodian", "type", "_id"]},
        {"name": "ref", "fields": ["ref", "died"]},
        {"name": "due", "fields": ["due"], "sparse": True},
        *BY_ROW]}


class Heads(Document):
    """The newest version of each resource: what two parallel writers of one both change."""

    ref = StringField(primary_key=True)
    version = IntField()
    number = IntField()
    meta = {"collection": "heads", "auto_create_index": False}


class Texts(Document):
    """A part of a text that is too large for its entry."""

    number = IntField()
    part = IntField()
    text = BinaryField()
    meta = {"collection": "texts", "auto_create_index": False, "indexes": [{"name": "part", "fields": ["number", "part"], "unique": True}]}


class Rows(Document):
    """Rows that found no room in their entry; rows of one group stay together."""

    number = IntField()
    pieces = ListField(StringField())
    rows = EmbeddedDocumentListField(OneRow)
    meta = {"collection": "rows", "auto_create_index": False, "indexes": [{"name": "number", "fields": ["number"]}, *BY_ROW]}


class Spilled(Document):
    """The parameters that have rows aside."""

    param = StringField(primary_key=True)
    meta = {"collection": "spilled", "auto_create_index": False}


class Facts(Document):
    """What the current versions grant and deny; an empty column is left out."""

    source = StringField()
    number = IntField()
    effect = StringField()
    grantee = StringField()
    patient = StringField()
    resource = StringField()
    custodian = StringField()
    low = IntField()
    high = IntField()
    labels = IntField()
    bits = ListField(IntField())
    purpose = StringField()
    kind = StringField()
    code = StringField()
    since = IntField()
    until = IntField()
    level = IntField()
    meta = {"collection": "facts", "auto_create_index": False, "indexes": [
        {"name": "source", "fields": ["source"]},
        {"name": "grantee", "fields": ["effect", "grantee", "patient"]},
        {"name": "patient", "fields": ["effect", "patient"]},
        {"name": "resource", "fields": ["effect", "resource"]}]}


class Claims(Document):
    """Claims in force and expired; `by` is the commit that took it last."""

    kind = StringField()
    owner = StringField()
    key = StringField()
    until = IntField()
    by = StringField()
    meta = {"collection": "claims", "auto_create_index": False, "indexes": [{"name": "claim", "fields": ["kind", "owner", "key"], "unique": True}]}


class OneEvent(EmbeddedDocument):
    action = StringField()
    subtype = StringField()
    entity = StringField()
    version = IntField()
    patient = StringField()


class Accesses(Document):
    """Access records with the events that they render to."""

    number = IntField(primary_key=True)
    journal = StringField()
    sequence = IntField()
    at = IntField()
    outcome = StringField()
    organization = StringField()
    client = StringField()
    user = StringField()
    agent_name = StringField()
    address = StringField()
    site = StringField()
    policy = StringField()
    purpose = StringField()
    request = StringField()
    type = StringField()
    plain = BinaryField()
    events = EmbeddedDocumentListField(OneEvent)
    meta = {"collection": "accesses", "auto_create_index": False, "indexes": [
        {"name": "slot", "fields": ["journal", "sequence"], "unique": True},
        {"name": "at", "fields": ["at", "_id"]},
        {"name": "user", "fields": ["user", "at", "_id"]},
        {"name": "client", "fields": ["client", "at", "_id"]},
        {"name": "organization", "fields": ["organization", "at", "_id"]},
        {"name": "patient", "fields": ["events.patient", "at", "_id"]},
        {"name": "entity", "fields": ["events.entity", "at", "_id"]}]}


class Commits(Document):
    """The commits that landed, and those that never will (void)."""

    number = IntField(primary_key=True)
    void = BooleanField()
    meta = {"collection": "commits", "auto_create_index": False}


class Running(Document):
    """Commits that took a number and have not landed; `at` is the last sign of life, in microseconds, `by` the process, `session` that of
    the transaction."""

    number = IntField(primary_key=True)
    at = IntField()
    by = StringField()
    session = UUIDField()
    meta = {"collection": "running", "auto_create_index": False}


class Marks(Document):
    """Numbers of the whole store: no commit begins with a number up to `horizon`; `recipe` counts the changes of the index rows' recipe, its `text`."""

    key = StringField(primary_key=True)
    number = IntField()
    text = StringField()
    meta = {"collection": "marks", "auto_create_index": False}


class Values(Document):
    """Settings kept in the store."""

    key = StringField(primary_key=True)
    value = StringField()
    meta = {"collection": "values", "auto_create_index": False}


ALL = (Entries, Heads, Texts, Rows, Spilled, Facts, Claims, Accesses, Commits, Running, Marks, Values)
ROW = {name: OneRow._fields[name].db_field for name in Row._fields}
"""Column of a row -> its field."""
MARKED = {"code": "coded", "text": "worded", "low": "ranged", "high": "ranged"}
STAMP = {name: Entries._db_field_map.get(name, name) for name in Entries._fields if name not in ("rows", "pieces", "text", "parts", "name", "ended", "due", "bits", "ref")} | {"id": "id"}
"""Column of a stamp -> its field."""
ACCESS = tuple(f for f in Access.__dataclass_fields__ if f not in ("events", "plain", "number"))


def bits(mask: int) -> list[int]:
    return [i for i in range(mask.bit_length()) if mask >> i & 1]


def row(row: Row) -> dict:
    """A row without its empty columns."""
    made = {ROW[name]: value for name, value in zip(Row._fields, row) if value is not None}
    for column, mark in MARKED.items():
        if getattr(row, column) is not None:
            made[OneRow._fields[mark].db_field] = row.param
    return made


def piece(param: str, text: str) -> str:
    return f"{param} {text}"


def indexed(rows: list[Row]) -> dict:
    """The fields of rows: themselves, and the pieces of their words."""
    found = {piece(r.param, text) for r in rows if r.words for text in pieces(r.words)}
    return {"rows": [row(r) for r in rows], **({"pieces": sorted(found)} if found else {})}


def weight(row: Row) -> int:
    """By its length; words weigh with their pieces."""
    return 1 + (len(row.code or "") + len(row.text or "") + 4 * len(row.words or "")) // LONG


def divided(rows: list[Row]) -> tuple[list[Row], list[list[Row]]]:
    """The rows that stay in the entry and those for each side document: parameters with most rows leave first, groups stay whole."""
    if sum(map(weight, rows)) <= ROWS:
        return list(rows), []
    by_param: dict[str, list[Row]] = {}
    for r in rows:
        by_param.setdefault(r.param.split("/")[0], []).append(r)
    inside, aside, room = [], [], ROWS
    for weighs, param in sorted((sum(map(weight, of)), param) for param, of in by_param.items()):
        (inside if weighs <= room else aside).extend(sorted(by_param[param], key=lambda r: r.group))
        room -= weighs if weighs <= room else 0
    return inside, _chunks(aside)


def _chunks(rows: list[Row]) -> list[list[Row]]:
    chunks: list[list[Row]] = []
    room = 0
    for r in rows:
        if not chunks or room <= 0 and (_together(r) != _together(chunks[-1][-1]) or "/" not in r.param):
            chunks.append([])
            room = ROWS
        chunks[-1].append(r)
        room -= weight(r)
    return chunks


def _together(row: Row) -> tuple[int, str]:
    return row.group, row.param.split("/")[0]


def document(entry: Entry, rows: list[Row]) -> dict:
    """An entry with the rows that stay with it."""
    made = {"_id": entry.number, "ref": entry.ref, "type": entry.type, "id": entry.id, "version": entry.version, "born": entry.born, "died": entry.died,
            "updated": entry.updated, "custodian": entry.custodian, "about": list(entry.about), "many": int(entry.many), "labels": entry.labels,
            "bits": bits(entry.labels), "guard": entry.guard, "writer": entry.writer, "hash": Binary(entry.hash), "deleted": entry.deleted,
            "purged": entry.purged, "method": entry.method}
    if entry.date is not None:
        made["date"] = entry.date
    if entry.text is not None and len(entry.text) <= TEXT:
        made["text"] = Binary(entry.text)
    elif entry.text is not None:
        made["parts"] = -(-len(entry.text) // TEXT)
    return {**made, **indexed(rows)} if rows else made


def remade(entry: Entry, rows: list[Row] | None) -> dict:
    """The update of a version that a reindex made anew; rows None: it has none to be replaced."""
    fresh = {name: value for name, value in document(entry, rows or []).items() if name in ("about", "many", "labels", "bits", "date", "guard")}
    return {"$set": fresh | ({} if rows is None else {"rows": [], "pieces": [], **indexed(rows)}), **({} if "date" in fresh else {"$unset": {"date": ""}})}


def texts(entry: Entry) -> list[dict]:
    """The side documents of a large text."""
    if entry.text is None or len(entry.text) <= TEXT:
        return []
    return [{"number": entry.number, "part": i, "text": Binary(entry.text[at:at + TEXT])} for i, at in enumerate(range(0, len(entry.text), TEXT))]


def entry(made: dict) -> Entry:
    """The entry of a document (a large text is not in it)."""
    text = made.get("text")
    return Entry(made["type"], made["id"], made["version"], bytes(text) if text is not None else None, made["updated"], made["custodian"], tuple(made["about"]),
                 bool(made["many"]), made["labels"], made.get("date"), made["guard"], made["writer"], bytes(made["hash"]), made["deleted"], made["purged"],
                 made["method"], made["_id"], made["born"], made["died"])


def fact(source: Entry, fact: Fact) -> dict:
    made = {name: value for name, value in zip(Fact._fields, fact) if value is not None}
    return {"source": source.ref, "number": source.number, "bits": bits(fact.labels), **made}


def given(made: dict) -> Fact:
    return Fact(**{name: made.get(name) for name in Fact._fields})


def record(access: Access) -> dict:
    made = {name: getattr(access, name) for name in ACCESS}
    return {"_id": access.number, **made, "plain": Binary(access.plain), "events": [e._asdict() for e in access.events]}


def access(made: dict) -> Access:
    return Access(*(made[name] for name in ACCESS), tuple(Event(**e) for e in made["events"]), bytes(made["plain"]), made["_id"])


def indexes(declared: type[Document]) -> list[tuple[list[tuple[str, int]], dict]]:
    """The declared indexes as (keys, options)."""
    return [(spec["fields"], {k: v for k, v in spec.items() if k not in ("fields", "cls")}) for spec in declared._meta["index_specs"]]
