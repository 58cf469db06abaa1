"""What is read of the embedded store: versions, searches, histories, each a function of a connection."""
from __future__ import annotations

from app.search.query import ALL, Clause, Query
from app.store.base import ALIVE, Entry, Found, Walked
from app.store.sqlite import plan
from app.store.sqlite.clauses import TRUE, Compiler, Sql, join

STAMP = ("e.number, e.type, e.id, e.version, e.born, e.died, e.updated, e.custodian, e.about, e.many, e.labels, e.date, e.guard, e.writer,"
         " e.hash, e.deleted, e.purged, e.method, (select b.text from body b where b.number=e.number)")
WIDTH = 19


def newest(con, names) -> int:
    return con.execute("select number from counter").fetchone()[0]


def entry(names, row) -> Entry:
    """A row of STAMP as an Entry."""
    (number, type, id, version, born, died, updated, custodian, about, many, labels, date, guard, writer, hash, deleted, purged, method, text) = row
    return Entry(names.text(type), id, version, text, updated, names.text(custodian), tuple(about.split("\n")) if about else (), bool(many), labels, date,
                 guard, writer, hash, bool(deleted), bool(purged), method, number, born, died)


def get(con, names, type: str, id: str, version: int | None) -> Entry | None:
    known = names.number(type)
    if known is None:
        return None
    if version is None:
        row = con.execute(f"select {STAMP} from entry e where e.type=? and e.id=? order by e.version desc limit 1", (known, id)).fetchone()
    else:
        row = con.execute(f"select {STAMP} from entry e where e.type=? and e.id=? and e.version=?", (known, id, version)).fetchone()
    return entry(names, row) if row else None


def walk(con, names, type: str, after: int, until: int, limit: int) -> list[Walked]:
    where, args = ("e.type=? and", (names.number(type),)) if type else ("", ())
    rows = con.execute(f"select {STAMP}, e.died={ALIVE} or exists(select 1 from row r where r.entry=e.number) from entry e where {where} e.number>? and e.number<=? and e.purged=0"
                       " order by e.number limit ?", (*args, after, until, limit)).fetchall()
    return [Walked(entry(names, row[:WIDTH]), bool(row[WIDTH])) for row in rows]


def recipe(con, names) -> str:
    found = con.execute("select value from value where key='recipe'").fetchone()
    return found[0] if found else ""


def search(con, names, query: Query, at: int, now: int, limit: int, after: tuple | None) -> list[Found]:
    rows = plan.select(con, Compiler(names.number, at, now), query, STAMP, limit, after)
    return [Found(entry(names, row[:WIDTH]), row[WIDTH:]) for row in rows]


def meets(con, names, entry: Entry, clause: Clause, at: int, now: int) -> bool:
    holds = Compiler(names.number, at, now).clause(clause, "e")
    return con.execute(f"select 1 from entry e where e.number=? and {holds.text}", (entry.number, *holds.args)).fetchone() is not None


def history(con, names, query, at, now, limit, id, since, until, moment, after, own) -> list[Entry]:
    compiler = Compiler(names.number, at, now)
    parts = [compiler.types("e", query.types), Sql("e.born<=?", (at,))]
    for text, value in (("e.id=?", id), ("e.updated>=?", since), ("e.updated<=?", until), ("e.number<?", after)):
        if value is not None:
            parts.append(Sql(text, (value,)))
    if moment is not None:
        parts.append(Sql("e.updated<=? and not exists(select 1 from entry n where n.type=e.type and n.id=e.id and n.version=e.version+1 and n.updated<=?)", (moment[1], moment[0])))
    parts += [compiler.clause(own, "e"), compiler.clause(query.where, "e")]
    where = join(" and ", parts, TRUE)
    if own != ALL:
        index = ""  # it may name few
    elif id is not None:
        index = " indexed by entry_version"
    else:
        index = " indexed by entry_type" if len(query.types) == 1 else " not indexed"
    rows = con.execute(f"select {STAMP} from entry e{index} where {where.text} order by e.number desc limit ?", (*where.args, limit)).fetchall()
    return [entry(names, row) for row in rows]
