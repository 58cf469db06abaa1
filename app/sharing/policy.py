"""What a caller may see, as a clause, put into a query at every hop; and whether it may change what it sees."""
from __future__ import annotations

from app.caller import Caller
from app.search.query import ALL, And, Back, Clause, Compare, Link, Newest, Not, Or, Query, Stamp, both, either
from app.sharing.rules import ALLOWS, LIMITS
from app.store.base import Entry


def scope(caller: Caller) -> Clause:
    """The clause that holds for what the caller may see."""
    limits = [clause for rule in LIMITS.values() if (clause := rule(caller)) is not None]
    return both(_allowed(caller), *limits)


def _allowed(caller: Caller) -> Clause:
    """What any rule gives; where one gives all, the others are not asked."""
    given = []
    for rule in ALLOWS.values():
        clause = rule(caller)
        if clause == ALL:
            return ALL
        if clause is not None:
            given.append(clause)
    return either(*given)


def restrict(query: Query, scope: Clause) -> Query:
    """The query as this scope may ask it: what is hidden is not there, at no hop."""
    return query if scope == ALL else query._replace(where=both(within(query.where, scope), scope))


def within(clause: Clause, scope: Clause) -> Clause:
    """The clause with the scope put into every chain, whichever way it goes."""
    if isinstance(clause, And):
        return And(tuple(within(p, scope) for p in clause.parts))
    if isinstance(clause, Or):
        return Or(tuple(within(p, scope) for p in clause.parts))
    if isinstance(clause, Not):
        return Not(within(clause.part, scope))
    if isinstance(clause, Link):
        return Link(clause.param, clause.types, both(within(clause.clause, scope), scope))
    if isinstance(clause, Back):
        return Back(clause.param, clause.type, both(within(clause.clause, scope), scope))
    return clause


def still(scope: Clause) -> Clause:
    """What may be seen of an earlier version, or as of an earlier commit: what might be seen then, and may today."""
    return scope if scope == ALL else both(scope, Newest(scope))


def log_scope(caller: Caller) -> Clause:
    """Which events of the log a caller may see: the operator all, an organisation those of its own clients."""
    return ALL if caller.operator else Stamp((Compare("organization", "eq", caller.organization),))


def may_change(caller: Caller, entry: Entry) -> bool:
    """Only the custodian changes a resource, or the operator; what a state table lets others move is decided there."""
    return caller.operator or entry.custodian == caller.organization


def may_choose(caller: Caller, id: str) -> bool:
    """A client chooses ids only under its organisation's prefix."""
    return caller.prefix is not None and id.startswith(caller.prefix)
