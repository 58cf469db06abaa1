"""Who exports, and how the export is written: `site.yaml` and the `source` of a mapping."""
from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

from app.mapping.document import Map, Mistake, Text, load, place
from app.mapping.frame import SITE, framed
from app.mapping.readers import READERS
from app.mapping.rules import Site, Source


def read(home: Path) -> Site:
    """The site of a folder, from its `site.yaml`. Errors: Mistake."""
    node = framed(load(home / "site.yaml"), SITE)
    organization, name, prefix = node.need("organization"), node.need("site"), node.get("prefix", f"{node['organization']}-")
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,64}", organization):
        raise Mistake(organization.place, f"'{organization}' is no id of an Organization: letters, digits, - and ., 64 at most")
    if not re.fullmatch(r"[\w-]+", name):
        raise Mistake(name.place, f"'{name}' is no name of a site: letters, digits, - and _")
    if not re.fullmatch(r"[A-Za-z0-9.-]{0,32}", prefix):
        raise Mistake(place(prefix, node.place), f"'{prefix}' is no prefix of ids: letters, digits, - and ., 32 at most")
    systems = {"organization": f"Organization/{organization}", **node.get("systems", {})}
    return Site(str(name), str(organization), str(prefix), systems)


def source(node: Map, zone: str = "") -> Source:
    """A mapping's `source`; zone: in place of its own. Errors: Mistake."""
    kind, zone = node.need("kind"), _option("--zone", zone) if zone else node.need("zone")
    if kind not in READERS:
        raise Mistake(kind.place, f"a source of kind '{kind}' cannot be read; known are {', '.join(READERS)}")
    reads = READERS[kind]
    node.only(("kind", "null", "zone", "files", *(("encoding",) if reads.ENCODINGS else ()), *reads.OPTIONS))
    encoding = node.need("encoding").lower() if reads.ENCODINGS else ""
    if reads.ENCODINGS and encoding not in reads.ENCODINGS:
        raise Mistake(node["encoding"].place, f"encoding '{encoding}' is none of {', '.join(reads.ENCODINGS)}")
    return Source(str(kind), encoding, frozenset({"", *node.get("null", [])}), _zone(zone), reads.options(node) if reads.OPTIONS else {}, str(node.get("files", "")))


def _option(name: str, value: str) -> Text:
    """An option's value as if it stood in the mapping."""
    text = Text(value)
    text.place = name
    return text


def _zone(name: Text) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Mistake(name.place, f"'{name}' is no time zone (such as Asia/Shanghai)") from None
