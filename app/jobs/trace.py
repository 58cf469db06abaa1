"""Where the versions of an imported resource come from: site, mapping, file and row."""
from __future__ import annotations

from typing import NamedTuple

from app.caller import Caller
from app.fhir import json
from app.mapping.merge import SOURCE
from app.records import Records, World
from app.workflow import job


class Origin(NamedTuple):
    """A version: its number and time, and where it came from; mapping, file and row are empty where no import wrote it."""
    version: int
    updated: str
    mapping: str = ""
    digest: str = ""
    file: str = ""
    row: str = ""


async def traced(world: World, caller: Caller, type: str, id: str) -> list[Origin]:
    """The versions of a resource that the caller sees, the newest first. Errors: Absent."""
    records, files, found = Records(world, caller), {}, []
    page = await records.versions(type, id)
    while True:
        for entry in page.entries:
            meta = json.loads(entry.text).get("meta", {}) if entry.text else {}
            came = SOURCE.fullmatch(meta.get("source", ""))
            if came and came["file"] not in files:
                files[came["file"]] = await _file(records, came["file"])
            found.append(Origin(entry.version, meta.get("lastUpdated", ""), *((f"{came['site']}/{came['mapping']}", came["file"], files[came["file"]], came["row"]) if came else ())))
        if not page.next:
            return found
        page = await records.versions(type, id, cursor=page.next)


async def _file(records: Records, digest: str) -> str:
    """The name of the file with this hash, by the run that read it."""
    page = await records.search(("Task",), [("code", f"{job.JOBS}|import"), ("_count", "200")])
    while True:
        for entry in page.entries:
            told = job.told(json.loads(entry.text), "input")
            if told.get("file-sha256", "").startswith(digest):
                return told.get("file", "")
        if not page.next:
            return ""
        page = await records.search(("Task",), [], cursor=page.next)
