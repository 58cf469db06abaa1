"""What rows and tests depend on beside the resource and the request: the store's zone, the server's base, the moment, strictness."""
from __future__ import annotations

from typing import NamedTuple

from app.fhir.terminology import PACKAGE
from app.fhir.valueset import Terms
from app.search.param import NOTHING, Own


class Context(NamedTuple):
    """zone: IANA name, of dates that carry none. base: this server's own FHIR base url, without a slash at its end.

    now: microseconds UTC (for the prefix `ap` and `_lastUpdated`). strict: what is not understood is an error, not ignored.
    terms: the value sets and code systems that the asker may name. own: the store's own search parameters.
    """

    zone: str = "Asia/Shanghai"
    base: str = ""
    now: int = 0
    strict: bool = True
    terms: Terms = PACKAGE
    own: Own = NOTHING
