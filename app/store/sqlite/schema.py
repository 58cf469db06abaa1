"""The tables of the embedded store, its connections, and the errors of a locked or full disk as what they mean."""
from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager

from app import errors
from app.store.base import ALIVE

TABLES = """
create table value (key text primary key, value text not null) without rowid;
create table counter (number integer not null);
insert into counter values (0);
create table name (id integer primary key, text text not null unique);

-- a version is the unit of storage: its stamp here, its text beside it
create table entry (
  number integer primary key, type integer not null, id text not null, version integer not null,
  born integer not null, died integer not null, updated integer not null, custodian integer not null,
  about text not null, many integer not null, labels integer not null, date integer, guard text not null,
  writer text not null, hash blob not null, deleted integer not null, purged integer not null, method text not null);
create unique index entry_version on entry (type, id, version);
create index entry_type on entry (type, number);
create index entry_updated on entry (type, updated);
create index entry_changed on entry (updated);
create index entry_custodian on entry (custodian, type);
create table body (number integer primary key, text blob not null);
create table about (number integer not null, patient text not null, type integer not null, primary key (number, patient)) without rowid;
create index about_patient on about (patient, type);

-- one shape of index row for all parameter types, clustered by entry: that key serves the probes.
-- span: a power of four that high - low does not exceed, null for a point: what reaches a moment begins there or later, or at most so much before it
create table row (
  entry integer not null, param integer not null, place integer not null, grp integer not null,
  system integer, code text, text text, low, high, span, words text, primary key (entry, param, place)) without rowid;
create index row_code on row (param, code, entry) where code is not null;
create index row_text on row (param, text, entry) where text is not null;
create index row_low on row (param, low, entry, high) where low is not null;
create index row_span on row (param, span, low, high, entry) where span is not null;

-- the pieces of an entry's words, each after its parameter's number: no text, no places, entries alone
create virtual table piece using fts5 (pieces, content='', columnsize=0, detail=none, tokenize=ascii);

create table fact (
  source integer not null, effect text not null, grantee text, patient text, resource text, custodian text,
  low integer not null, high integer not null, labels integer not null, purpose text, kind text, code text,
  since integer, until integer, level integer not null);
create index fact_source on fact (source);
create index fact_grantee on fact (grantee, patient, resource, custodian);
create table claim (kind text, owner text, key text, until integer not null, primary key (kind, owner, key)) without rowid;

create table access (
  number integer primary key, journal text not null, sequence integer not null, at integer not null, outcome text not null,
  organization text not null, client text not null, user text not null, agent_name text not null, address text not null,
  site text not null, policy text not null, purpose text not null, request text not null, type text not null, plain blob not null);
create unique index access_slot on access (journal, sequence);
create index access_at on access (at);
create index access_user on access (user, at) where user <> '';
create index access_client on access (client, at);
create table event (
  access integer not null, ordinal integer not null, at integer not null, action text not null, subtype text not null,
  entity text not null, version integer not null, patient text not null, primary key (access, ordinal)) without rowid;
create index event_patient on event (patient, at) where patient <> '';
create index event_entity on event (entity, at) where entity <> '';
"""

DEAD = f"died <> {ALIVE}"


def connect(path: str, *, write: bool, durable: bool = True) -> sqlite3.Connection:
    """A connection in autocommit mode; `durable` waits for the disk at each commit."""
    con = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=1024, timeout=0)
    con.execute("pragma cache_size=-65536")
    con.execute("pragma temp_store=memory")
    if write:
        con.execute("pragma journal_mode=wal")
        con.execute(f"pragma synchronous={'full' if durable else 'off'}")
        con.execute("pragma wal_autocheckpoint=16000")  # 64 MB: a page that many commits change reaches the file once
    else:
        con.execute("pragma query_only=1")
    return con


@contextmanager
def told():
    """Turns what SQLite says of locks, disks, damage and its limits into failures of ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError):
            raise
        raise failure(error) from error


@contextmanager
def within(con: sqlite3.Connection, seconds: float):
    """Stops what takes longer: SQLite then says `interrupted`, and what a transaction has written stays."""
    until = time.perf_counter() + seconds
    con.set_progress_handler(lambda: time.perf_counter() > until, 5000)
    try:
        yield
    finally:
        con.set_progress_handler(None, 0)


LIMITS = ("too many", "too large", "too long", "too big", "stack overflow")


def failure(error: sqlite3.Error) -> errors.Failure:
    text = str(error)
    if any(limit in text for limit in LIMITS):
        return errors.TooCostly("The search has more conditions or values than the store takes: ask for fewer at once.")
    if "interrupted" in text:
        return errors.TooCostly("This search takes too long: narrow it.")
    if "not a database" in text or "malformed" in text:
        return errors.Unavailable("The store's file is damaged, or is no SQLite database; nothing was done.")
    if "locked" in text or "busy" in text:
        return errors.Unavailable("The store is locked by another process; nothing was done.")
    if "full" in text:
        return errors.Unavailable("The disk of the store is full; nothing was done.", retry_after=30)
    return errors.Unavailable(f"The store cannot be used now ({text}); nothing was done.", retry_after=5)
