"""Access records and the events they render to: one wide row a record, one short row an event."""
from __future__ import annotations

from operator import attrgetter

from app.search.query import Clause, Compare, Not, Or, Stamp, And
from app.store.base import Access, Event, Seen
from app.store.sqlite.clauses import FALSE, TRUE, Compiler, Sql, join

ACCESS = ("journal", "sequence", "at", "outcome", "organization", "client", "user", "agent_name", "address", "site", "policy", "purpose", "request", "type")
EVENT = ("action", "subtype", "entity", "version", "patient")
_VALUES = attrgetter(*ACCESS)
_INSERT = f"insert into access ({','.join(ACCESS)},plain) values ({','.join('?' * len(ACCESS))},?) on conflict (journal, sequence) do nothing"
RECORDS = {**{c: f"a.{c}" for c in ACCESS}, "number": "a.number", "ordinal": "v.ordinal", **{c: f"v.{c}" for c in EVENT}}
EVENTS = {**RECORDS, "at": "v.at", "number": "v.access"}
"""Columns, read by the record first or by the event first: both have the time and the record's number, the order's."""


def put(con, access: Access) -> None:
    """Writes a record and its events; one whose slot is taken is there already."""
    values = _VALUES(access)
    if not access.journal:
        number = con.execute("select coalesce(max(number), 0) + 1 from access").fetchone()[0]
        access.journal, access.sequence = "log", number
        values = ("log", number, *values[2:])
    done = con.execute(_INSERT, (*values, access.plain))
    if done.rowcount:
        access.number = done.lastrowid
        con.executemany("insert into event values (?,?,?,?,?,?,?,?)", [
            (access.number, i, access.at, e.action, e.subtype, e.entity, e.version, e.patient) for i, e in enumerate(access.events)])


def find(con, names, where: Clause, limit: int, after: tuple | None, ascending: bool) -> list[Seen]:
    """Events in the order of their time, then record and ordinal."""
    by, start = source(where)
    parts = [condition(where, by)]
    sign, desc = (">", "") if ascending else ("<", " desc")
    if after is not None:
        parts.append(Sql(f"{by['at']}{sign}=? and ({by['at']},{by['number']},v.ordinal){sign}(?,?,?)", (after[0], *after)))
    holds = join(" and ", parts, TRUE)
    rows = con.execute(f"select v.at, a.number, v.ordinal from {start} where {holds.text} order by {by['at']}{desc}, {by['number']}{desc}, v.ordinal{desc} limit ?",
                       (*holds.args, limit)).fetchall()
    kept = {number: _access(con, number) for number in {r[1] for r in rows}}
    return [Seen(kept[number], ordinal, (at, number, ordinal)) for at, number, ordinal in rows]


def count(con, names, where: Clause) -> int:
    by, start = source(where)
    holds = condition(where, by)
    return con.execute(f"select count(*) from {start} where {holds.text}", holds.args).fetchone()[0]


def one(con, names, journal: str, sequence: int) -> Access | None:
    found = con.execute("select number from access where journal=? and sequence=?", (journal, sequence)).fetchone()
    return _access(con, found[0]) if found else None


def source(where: Clause) -> tuple[dict[str, str], str]:
    """(columns, tables) by which events are read: by the patient or entity asked for, else by the record's own indexes, else by time."""
    asked = {c.column for part in (where.parts if isinstance(where, And) else (where,)) if isinstance(part, Stamp) for c in part.compares if c.how == "eq" and c.value != ""}
    for column in ("patient", "entity"):
        if column in asked:
            return EVENTS, f"event v indexed by event_{column} cross join access a on a.number=v.access and v.{column}<>''"
    # an index without the empty ones is used only where the statement itself says that it looks for none of them
    return RECORDS, "access a cross join event v on v.access=a.number" + (" and a.user<>''" if "user" in asked else "")


def condition(clause: Clause, by: dict[str, str]) -> Sql:
    if isinstance(clause, And):
        return join(" and ", [condition(p, by) for p in clause.parts], TRUE)
    if isinstance(clause, Or):
        return join(" or ", [condition(p, by) for p in clause.parts], FALSE)
    if isinstance(clause, Not):
        inner = condition(clause.part, by)
        return Sql(f"not coalesce({inner.text},0)", inner.args)
    return join(" and ", [_compare(c, by) for c in clause.compares], TRUE)


def _compare(compare: Compare, by: dict[str, str]) -> Sql:
    name = by[compare.column]
    # the empty text is how these columns say that there is nothing
    if compare.how in ("none", "some"):
        return Sql(f"{name}{'=' if compare.how == 'none' else '<>'}''")
    if compare.how == "prefix" and not compare.value:
        return Sql(f"{name}<>''")
    made = Compiler(None, 0, 0).compare(compare._replace(column="it"), "x")  # under this name nothing is interned
    return Sql(made.text.replace("x.it", name), made.args)


def _access(con, number: int) -> Access:
    row = con.execute(f"select {','.join(ACCESS)},plain from access where number=?", (number,)).fetchone()
    events = con.execute("select action,subtype,entity,version,patient from event where access=? order by ordinal", (number,)).fetchall()
    return Access(*row[:14], tuple(Event(*e) for e in events), row[14], number)
