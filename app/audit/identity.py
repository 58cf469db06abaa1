"""The id of a rendered AuditEvent: the record's slot and the event's place in it. https://hl7.org/fhir/R4/datatypes.html#id"""
from __future__ import annotations

import re

_ID = re.compile(r"([a-z0-9]{1,32})\.(0|[1-9]\d{0,18})\.(0|[1-9]\d{0,9})", re.ASCII)


def event_id(journal: str, sequence: int, ordinal: int) -> str:
    """`journal.sequence.ordinal`: no stored resource's id has this form, for server ids have no points and AuditEvents are never PUT."""
    return f"{journal}.{sequence}.{ordinal}"


def parse_id(id: str) -> tuple[str, int, int] | None:
    """(journal, sequence, ordinal), or None for an id that no rendered event has."""
    match = _ID.fullmatch(id)
    if match is None or int(match[2]) >= 2**63:
        return None
    return match[1], int(match[2]), int(match[3])
