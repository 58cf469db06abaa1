"""FHIRPath's functions on collections: existence, filtering, subsets, combining, tree, utility. http://hl7.org/fhirpath/N1/#functions

LOOPS take their arguments as expressions (run once an item; sort's with its direction), FUNCTIONS as collections that are already evaluated.
A row: name -> (fewest arguments, most arguments, function).
"""
from __future__ import annotations

from functools import cmp_to_key

from app.fhir import definitions
from app.fhir.path.compare import distinct, key, keys, order
from app.fhir.path.evaluation import Evaluation, one, single, truth
from app.fhir.path.node import Node, boolean, children, constant
from app.fhir.path.syntax import BadExpression
from app.fhir.path.values import temporal


def _where(run: Evaluation, nodes: list, criteria) -> list:
    return [node for node, found in run.each(nodes, criteria) if truth(found)]


def _select(run: Evaluation, nodes: list, projection) -> list:
    out: list[Node] = []
    for _, found in run.each(nodes, projection):
        run.spend(len(found))
        out += found
    return out


def _repeat(run: Evaluation, nodes: list, projection) -> list:
    seen, out, fresh = set(), [], nodes
    while fresh:
        found, fresh = _select(run, fresh, projection), []
        for node in found:
            if (same := key(node)) not in seen:
                seen.add(same)
                fresh.append(node)
        run.weigh(found)
        out += fresh
    return out


def _exists(run: Evaluation, nodes: list, criteria=None) -> list:
    if criteria is None:
        return boolean(bool(nodes))
    return boolean(any(truth(found) for _, found in run.each(nodes, criteria)))


def _all(run: Evaluation, nodes: list, criteria) -> list:
    return boolean(all(truth(found) for _, found in run.each(nodes, criteria)))


def _iif(run: Evaluation, nodes: list, condition, then, otherwise=None) -> list:
    """Only what is chosen is run, with one item as `$this`; with several (an invariant of CareTeam has them) `$this` stays what it is."""
    outer = run.this
    if len(nodes) == 1:
        run.this = nodes[0]
    try:
        if truth(condition(run, nodes)):
            return then(run, nodes)
        return otherwise(run, nodes) if otherwise else []
    finally:
        run.this = outer


def _sort(run: Evaluation, nodes: list, *keys: tuple) -> list:
    """By each key in turn, `(key, descending)`, or by the items themselves. What has no key comes last, or first where descending."""
    keys = keys or ((lambda run, focus: focus, False),)
    columns = [([one(found) for _, found in run.each(nodes, key)], descending) for key, descending in keys]

    def compare(i: int, j: int) -> int:
        run.spend(1)
        for values, descending in columns:
            a, b = values[i], values[j]
            found = (a is None) - (b is None) if a is None or b is None else order(a, b) or 0
            if found:
                return -found if descending else found
        return 0
    return [nodes[i] for i in sorted(range(len(nodes)), key=cmp_to_key(compare))]


def _aggregate(run: Evaluation, nodes: list, aggregator, initial=None) -> list:
    outer, run.total = run.total, initial(run, nodes) if initial else []
    try:
        for _, found in run.each(nodes, aggregator):
            run.spend(len(found))
            run.total = found
        return run.total
    finally:
        run.total = outer


def _trace(run: Evaluation, nodes: list, name, projection=None) -> list:
    """Its input. `env['trace']`, if there is one, is called with the name and what is traced."""
    if (listener := run.env.get("trace")) is not None:
        listener(single(name(run, nodes), "String"), projection(run, nodes) if projection else nodes)
    return nodes


LOOPS = {"where": (1, 1, _where), "select": (1, 1, _select), "repeat": (1, 1, _repeat), "exists": (0, 1, _exists), "all": (1, 1, _all),
         "iif": (2, 3, _iif), "sort": (0, 10, _sort), "aggregate": (1, 2, _aggregate), "trace": (1, 2, _trace)}


def _empty(run: Evaluation, nodes: list) -> list:
    return boolean(not nodes)


def _not(run: Evaluation, nodes: list) -> list:
    found = truth(nodes)
    return boolean(None if found is None else not found)


def _count(run: Evaluation, nodes: list) -> list:
    return [constant("Integer", len(nodes))]


def _truths(nodes: list):
    for node in nodes:
        if node.value.__class__ is not bool:
            raise BadExpression(f"Booleans are expected, this is {node.type}")
        yield node.value


def _all_true(run: Evaluation, nodes: list) -> list:
    return boolean(all(_truths(nodes)))


def _any_true(run: Evaluation, nodes: list) -> list:
    return boolean(any(_truths(nodes)))


def _all_false(run: Evaluation, nodes: list) -> list:
    return boolean(not any(_truths(nodes)))


def _any_false(run: Evaluation, nodes: list) -> list:
    return boolean(not all(_truths(nodes)))


def _subset_of(run: Evaluation, nodes: list, other: list) -> list:
    run.weigh(nodes + other)
    return boolean(keys(nodes) <= keys(other))


def _superset_of(run: Evaluation, nodes: list, other: list) -> list:
    return _subset_of(run, other, nodes)


def _distinct(run: Evaluation, nodes: list) -> list:
    run.weigh(nodes)
    return distinct(nodes)


def _is_distinct(run: Evaluation, nodes: list) -> list:
    run.weigh(nodes)
    return boolean(len(distinct(nodes)) == len(nodes))


def _single(run: Evaluation, nodes: list) -> list:
    if len(nodes) > 1:
        raise BadExpression(f"single() of {len(nodes)} items")
    return nodes


def _first(run: Evaluation, nodes: list) -> list:
    return nodes[:1]


def _last(run: Evaluation, nodes: list) -> list:
    return nodes[-1:]


def _tail(run: Evaluation, nodes: list) -> list:
    return nodes[1:]


def _skip(run: Evaluation, nodes: list, number: list) -> list:
    count = single(number, "Integer")
    return [] if count is None else nodes[max(count, 0):]


def _take(run: Evaluation, nodes: list, number: list) -> list:
    count = single(number, "Integer")
    return [] if count is None else nodes[:max(count, 0)]


def _intersect(run: Evaluation, nodes: list, other: list) -> list:
    run.weigh(nodes + other)
    wanted = keys(other)
    return distinct([node for node in nodes if key(node) in wanted])


def _exclude(run: Evaluation, nodes: list, other: list) -> list:
    run.weigh(nodes + other)
    unwanted = keys(other)
    return [node for node in nodes if key(node) not in unwanted]


def union(run: Evaluation, nodes: list, other: list) -> list:
    run.weigh(nodes + other)
    return distinct(nodes + other)


def _combine(run: Evaluation, nodes: list, other: list) -> list:
    run.spend(len(nodes) + len(other))
    return nodes + other


def _children(run: Evaluation, nodes: list) -> list:
    out: list[Node] = []
    for node in nodes:
        found = children(node)
        run.spend(len(found) + 1)
        out += found
    return out


def _descendants(run: Evaluation, nodes: list) -> list:
    """All elements below, each once for each input that holds it, a parent before its children."""
    out, rest = [], nodes
    while rest:
        rest = _children(run, rest)
        out += rest
    return out


def _type(run: Evaluation, nodes: list) -> list:
    """What is told of a type: its namespace, name and base type (a ClassInfo's elements are not listed)."""
    return [constant("TypeInfo", _type_info(node.type)) for node in nodes]


def _type_info(type: str) -> dict:
    if type.startswith("System."):
        return {"namespace": "System", "name": type[7:], "baseType": "System.Any"}
    above = definitions.ancestors(type)[1:2]
    return {"namespace": "FHIR", "name": type, "baseType": f"FHIR.{above[0]}" if above else "System.Any"}


def _moment(kind: str):
    def clock(run: Evaluation, nodes: list) -> list:
        now = run.env.get("now")
        if now is None:
            raise BadExpression("the time of day is not known here")
        text = now if kind == "DateTime" else now[:10] if kind == "Date" else now[11:].split("+")[0].split("-")[0].rstrip("Z")
        return [constant(kind, temporal(kind, text))]
    return clock


FUNCTIONS = {
    "empty": (0, 0, _empty), "not": (0, 0, _not), "count": (0, 0, _count),
    "allTrue": (0, 0, _all_true), "anyTrue": (0, 0, _any_true), "allFalse": (0, 0, _all_false), "anyFalse": (0, 0, _any_false),
    "subsetOf": (1, 1, _subset_of), "supersetOf": (1, 1, _superset_of), "distinct": (0, 0, _distinct), "isDistinct": (0, 0, _is_distinct),
    "single": (0, 0, _single), "first": (0, 0, _first), "last": (0, 0, _last), "tail": (0, 0, _tail), "skip": (1, 1, _skip), "take": (1, 1, _take),
    "intersect": (1, 1, _intersect), "exclude": (1, 1, _exclude), "union": (1, 1, union), "combine": (1, 1, _combine),
    "children": (0, 0, _children), "descendants": (0, 0, _descendants), "type": (0, 0, _type),
    "now": (0, 0, _moment("DateTime")), "today": (0, 0, _moment("Date")), "timeOfDay": (0, 0, _moment("Time")),
}
