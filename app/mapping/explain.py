"""How a record becomes resources: every rule from the source's value, step by step, to the element."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from app.fhir import json
from app.mapping import expression as tree
from app.mapping.compiler import Compiler
from app.mapping.document import List, Map, Text, place
from app.mapping.identity import Ids
from app.mapping.readers import reader
from app.mapping.reject import Reject
from app.mapping.rules import DIRECTIVES, Row

SECRET = "00" * 32
"""Ids are shown as made under this, never those of a store."""


def explained(path: Path, source: Path, number: int, home: Path | None = None, zone: str = "") -> Iterator[str]:
    """The lines that tell what the mapping at `path` makes of the record in row `number` of a file. Errors: Mistake, Reject for the file as a whole, ValueError where there is no such row.

    home: the folder of the site, where it is not the mapping's own. References and lookups are shown as they are asked for: no store is read.
    """
    teller = _Teller(path, home or path.parent, zone)
    mapping = teller.mapping()
    record = next((one for one in reader(source, mapping).records() if one.row >= number), None)
    if record is None or record.row != number:
        raise ValueError(f"{source.name} has no record in row {number}.")
    if record.reject or record.skip:
        yield f"The record is rejected: {record.reject}" if record.reject else f"passed over: {record.skip}"
        return
    row = Row(record.values, Ids(SECRET, mapping.site.prefix))
    if why := mapping.skip(row):
        yield f"passed over: {why}"
        return
    for name, node in teller.document["resources"].items():
        yield from teller.resource(str(name), node, row)
    try:
        made = mapping.apply(row)
    except Reject as reject:
        yield f"The record is rejected: {reject}" + (f" ({reject.column})" if reject.column else "")
        return
    for one in made:
        yield json.dumps(one.resource).decode()


class _Teller(Compiler):
    def resource(self, name: str, node: Map, row: Row) -> Iterator[str]:
        yield f"{name} ({node['type']})  {node['type'].place}"
        if "when" in node:
            holds = self.condition(node["when"])(row)
            yield f"  when {node['when']}: {'holds' if holds else 'does not hold, no resource'}"
            if not holds:
                return
        for part in node["key"][1:]:
            yield from self.told_of(part, f"key {node['key'][0]}", row)
        for element, child in node.items():
            if element not in DIRECTIVES or element == "newer_by":
                yield from self.told_of(child, element.lstrip("."), row)

    def told_of(self, node, path: str, row: Row, many: bool = False) -> Iterator[str]:
        """What a value of the mapping comes to, at `path` in the resource."""
        if isinstance(node, List):
            for at, child in enumerate(node):
                yield from self.told_of(child, f"{path}[{at}]", row, True)
        elif isinstance(node, Map) and set(node) == {"when"} and isinstance(node["when"], List):
            yield from self.chosen(node["when"], path, row)
        elif isinstance(node, Map):
            when = node.get("when")
            if isinstance(when, Text) and not self.condition(when)(row):
                yield f"  {path}: left out, for {when} does not hold"
                return
            for name, child in node.items():
                if child is not when:
                    yield from self.told_of(child, f"{path}.{name.lstrip('.')}", row)
        elif node.startswith("="):
            yield f"  {path}: {self.steps(node, row, many)}   {_line(node)}"
        else:
            yield f"  {path}: {self.system(node, node.place)}   {_line(node)}"

    def chosen(self, pairs: List, path: str, row: Row) -> Iterator[str]:
        for test, value in pairs:
            if test == "else" or self.condition(test)(row):
                yield f"  {path}: {'else' if test == 'else' else f'{test} holds'}"
                yield from self.told_of(value, path, row)
                return
        yield f"  {path}: no choice holds, left out"

    def steps(self, node: Text, row: Row, many: bool) -> str:
        whole = tree.expression(node[1:], node.place)
        told = []
        for option in whole.options if isinstance(whole, tree.First) else (whole,):
            text, value = self.option(option, node.place, row, many)
            told.append(text)
            if value is not None:
                break
        return " // ".join(told)

    def option(self, option, where: str, row: Row, many: bool) -> tuple[str, object]:
        """One expression: its source and each function with what it gives; and its value, None where it has none or rejects."""
        source, calls = (option.source, option.calls) if isinstance(option, tree.Pipe) else (option, ())
        told, value = [], None
        for upto in range(len(calls) + 1):
            name = calls[upto - 1].name if upto else _written(source)
            try:
                value = self.run(tree.Pipe(source, calls[:upto]) if upto else source, where, many)(row)
            except Reject as reject:
                return " | ".join([*told, f"{name} → {reject}"]), None
            told.append(f"{name} → {_shown(value)}")
        return " | ".join(told), value


def _written(node) -> str:
    return node.name if isinstance(node, (tree.Path, tree.Call)) else repr(node.value) if isinstance(node, tree.Value) else "(...)"


def _shown(value) -> str:
    return "nothing" if value is None else str(value["reference"]) if isinstance(value, dict) and "reference" in value else json.dumps(value).decode()


def _line(node) -> str:
    return place(node).rpartition("/")[2]
