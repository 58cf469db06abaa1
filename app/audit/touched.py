"""The events of one access: what was done to what, once for each patient whom it touched."""
from __future__ import annotations

from app.store.base import Entry, Event


def each(entry: Entry, action: str, subtype: str) -> list[Event]:
    """One event a patient whom the entry concerns; one without where it concerns none."""
    return [Event(action, subtype, entry.ref, entry.version, p) for p in entry.about or ("",)]


def patients(entries: list[Entry], kind: str, entity: str, *sought: str) -> list[Event]:
    """Events of a search or history: one for each patient who was asked for or stands in its results."""
    found = dict.fromkeys([*sought, *(p for e in entries for p in e.about)])
    return [Event("E", kind, entity, 0, p) for p in found or ("",)]
