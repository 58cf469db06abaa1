"""What tests of search say often: does this text find these elements, judged by rows, tests and match."""
from __future__ import annotations

from app.search import match, types, words
from app.search.context import Context
from app.search.param import Param
from app.search.query import Query, Row
from app.search.types.content import sliced
from app.store.base import Entry

CONTEXT = Context(zone="Asia/Shanghai", base="http://test/fhir", now=0)


class Nobody:
    """A look at a snapshot in which there is nothing else."""

    def current(self, type, id):
        return None

    def referring(self, param, type, ref):
        return ()

    def facts(self):
        return ()


def found(type: str, text: str, *pairs, modifier: str = "", context: Context = CONTEXT, kinds=None, **more) -> bool:
    """Whether a parameter of this type finds a resource that has these (value, FHIR data type) pairs."""
    param = Param("Any.p", "p", type, frozenset(kinds or (kind for _, kind in pairs)), **more)
    rows = types.rows(type, "Any.p", pairs, context)
    rows.append(Row(sliced("Any"), words=words.sliced([r.text for r in rows if r.text])))
    clause = types.test(param, modifier, text, context)
    return match.match(Query((), clause), Entry("Any", "1", 1, b""), rows, Nobody(), context.now)
