"""Access records for tests of the log, invented."""
from __future__ import annotations

from app.audit import record
from app.caller import Caller
from app.store.base import Access, Event

DOCTOR = Caller("chc-17", "client-chc-17", user="https://idp.chc17.example|u-203", token="8f2c", address="10.1.7.9", request="req-71", base="http://test/fhir")
NOON = 1_740_801_600_123_456
"""2025-03-01T04:00:00.123456Z, noon in Shanghai."""
READ = Event("R", "read", "ImagingStudy/5", 2, "Patient/9")


def made(caller: Caller = DOCTOR, *events: Event, at: int = NOON, outcome: str = "0", site: str = "fhir.alliance.example", slot: tuple[str, int] = ("", 0), **more) -> Access:
    access = record.access(caller, at=at, events=events or (READ,), outcome=outcome, site=site, **more)
    access.journal, access.sequence = slot
    return access
