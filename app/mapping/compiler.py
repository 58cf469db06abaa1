"""Compiles mappings: a YAML file that has its output's shape, values as pipe expressions, becomes closures from a record to resources."""
from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.mapping import expression as tree
from app.mapping import site, values
from app.mapping.document import List, Map, Mistake, Text, extended, load, place, shown
from app.mapping.frame import MAPPING, framed
from app.mapping.functions import FUNCTIONS, GIVES, KEEPS, ON_NOTHING, SOURCES
from app.mapping.regex import compiled
from app.mapping.rules import CHANGES, DIRECTIVES, WRITES, Key, Mapping, Part, Row, Target, Template
from app.mapping.shape import Shape, shape
from app.mapping.tables import Table
from app.mapping.tables import load as load_table
from app.settings import shipped

OWN = Path("mappings")
"""Where those who use the command keep their sites: in the folder in which they call it."""
MOMENTS = {"date", "dateTime", "instant"}
TEXT = {"string", *MOMENTS}
"""FHIR types of which a value here is text."""


def compile(path: Path, site: str = "", zone: str = "") -> Mapping:  # noqa: A001 - the house's word
    """The mapping in `path`, with `site.yaml` beside it and code tables in `tables/` there and one folder up. Errors: Mistake (file:line).

    site: the folder beside its own, or under `mappings/` here, whose site and tables are meant instead; zone: in place of the source's.
    """
    homes = [folder / site for folder in (path.parent.parent, OWN)] if site else [path.parent]
    home = next((one for one in homes if (one / "site.yaml").is_file()), homes[0])
    if site and not (home / "site.yaml").is_file():
        raise Mistake("--site", f"there is no {shown(home / 'site.yaml')}")
    load(path).need("mapping")
    return Compiler(path, home, zone).mapping()


class Compiler:
    """What compiles the mapping at `path` for the site whose folder is `home`. Errors: Mistake."""

    def __init__(self, path: Path, home: Path, zone: str = ""):
        document, self.files = extended(path, MAPPING)
        self.path, self.document, self.site, self.home, self.zone = path, framed(document, MAPPING), site.read(home), home, zone
        name = document.need("mapping")
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise Mistake(name.place, f"'{name}' is no name of a mapping: letters, digits, -, _ and .")
        self.source = site.source(document.need("source"), zone)
        columns = document.need("columns")
        self.columns = {str(name): at for at, name in enumerate(dict.fromkeys([*columns.need("expect"), *columns.get("optional", [])]))}
        self.names = columns.get("names", {})
        self.optional = frozenset(map(self.told, columns.get("optional", []))) - frozenset(map(self.told, columns["expect"]))
        self.ignored = tuple(map(str, columns.get("ignore", [])))
        self.tables: dict[str, Table] = {}
        self.keys: dict[str, Key] = {}
        self.others: dict[str, Key] = {}
        self.read: set[str] = set()
        for name in self.names:
            self.known(name, name.place)

    def told(self, name: str) -> str:
        """What the source calls a column of the rules."""
        return str(self.names.get(name, name))

    def first(self, *nodes) -> str:
        """The column that these read first, as the source calls it."""
        return self.told(next((name for node in nodes for name in tree.paths(node) if name in self.columns), ""))

    def mapping(self) -> Mapping:
        document, resources = self.document, self.document.need("resources")
        for name, node in resources.items():
            self.keys[str(name)] = self.key(node)
        templates = tuple(self.template(str(name), node) for name, node in resources.items())
        skips = tuple((self.condition(node.need("when")), str(node.need("why"))) for node in document.get("skip", []))
        return Mapping(f"{self.site.name}/{document.need('mapping')}", str(document.need("version")), self.hash(), self.site, self.source,
                       tuple(map(self.told, self.columns)), self.optional, self.ignored, skips, self.keys, templates, self.tables,
                       tuple(self.told(name) for name in self.columns if name not in self.read), frozenset((key.type, key.namespace) for key in self.others.values()))

    def hash(self) -> str:
        files = [path.read_bytes() for path in (*self.files, self.home / "site.yaml")] + ([self.zone.encode()] if self.zone else [])
        tables = [f"{name}={self.tables[name].hash}".encode() for name in sorted(self.tables)]
        others = [f"{name}={key.type} {key.namespace}".encode() for name, key in sorted(self.others.items())]
        return sha256(b"\n".join([sha256(raw).hexdigest().encode() for raw in files] + tables + others)).hexdigest()

    def template(self, name: str, node: Map) -> Template:
        kind = str(node.need("type"))
        write = node.get("write", "upsert")
        if write not in WRITES:
            raise Mistake(write.place, f"write is one of {', '.join(WRITES)}")
        about, snapshot = shape(kind, node["type"].place), node.get("snapshot", "false")
        if snapshot not in ("true", "false") or snapshot == "true" and write != "upsert":
            raise Mistake(snapshot.place, "snapshot is true or false, and stands where write is upsert")
        for once in (once for once in node.get("once", []) if write != "upsert" or once not in node):
            raise Mistake(once.place, f"once names elements that this rule gives where write is upsert, and '{once}' is none")
        for name in (name for name in node if name not in DIRECTIVES and not _changes(str(write), name, about)):
            raise Mistake(name.place, f"write: {write} changes {'elements that tell a status' if write == 'status' else 'lists'}, and '{name}' is none")
        elements = tuple((element.lstrip("."), self.element(child, about, element).run) for element, child in node.items() if element not in DIRECTIVES)
        return Template(name, kind, str(write), tuple(self.compared(name, about) for name in node.get("must_match", [])), self.condition(node["when"]) if "when" in node else None,
                        self.moment(node["newer_by"]) if "newer_by" in node else None, elements, node["type"].place, snapshot == "true", tuple(once.lstrip(".") for once in node.get("once", [])))

    def moment(self, node: Text) -> Callable[[Row], object]:
        run = self.given(node)
        self.only(MOMENTS, kinds(tree.expression(node[1:], node.place)), "newer_by", node.place)
        return run

    def compared(self, name: Text, about: Shape) -> str:
        """What must_match names: the path of an element, or `identifier|system`. Errors: Mistake."""
        if name.startswith("identifier|"):
            return f"identifier|{self.system(name.removeprefix('identifier|'), name.place)}"
        for step in name.split("."):
            about = about.single(name.place).child(step, name.place)
        return str(name)

    def key(self, node: Map) -> Key:
        key = node.need("key")
        if len(key) < 2 or any(not part.startswith("=") for part in key[1:]):
            raise Mistake(place(key, node.place), "key is a namespace and one or more expressions: [visit, = COLUMN]")
        return Key(str(node.need("type")), f"{self.site.name}/{key[0]}", tuple(self.identifying(part) for part in key[1:]), tuple(map(self.column_of, key[1:])), key.place)

    def column_of(self, node: Text) -> str:
        """The column that an expression reads first, as the source calls it."""
        return self.first(tree.expression(node[1:], node.place))

    def identifying(self, node: Text) -> Callable[[Row], object]:
        self.only(TEXT, kinds(tree.expression(node[1:], node.place)), "what identifies a resource", node.place)
        return partial(values.identifying, self.given(node), self.column_of(node), node.place)

    def element(self, node, about: Shape, name: Text) -> Part:
        if about.type == "Identifier" and name == "value" and isinstance(node, Text) and node.startswith("="):
            return Part(self.identifying(node), True)
        return self.value(node, about.child(name.lstrip("."), name.place))

    def value(self, node, about: Shape, many: bool = False) -> Part:
        if isinstance(node, Map) and set(node) == {"when"} and isinstance(node["when"], List):
            return self.choice(node, about)
        if isinstance(node, List):
            return self.list(node, about.listed(node.place))
        about.single(place(node))
        if isinstance(node, Map):
            return self.object(node, about)
        if node.startswith("="):
            return Part(self.given(node, many), True)
        constant = about.constant(self.system(node, node.place), node.place)
        return Part(lambda row: constant, False)

    def system(self, text: str, place: str) -> str:
        if not text.startswith("$"):
            return str(text)
        if text[1:] not in self.site.systems:
            raise Mistake(place, f"site.yaml has no system '{text[1:]}'")
        return str(self.site.systems[text[1:]])

    def object(self, node: Map, about: Shape) -> Part:
        when = self.condition(node["when"]) if isinstance(node.get("when"), Text) else None
        parts = [(str(name), self.element(child, about, name)) for name, child in node.items() if not (name == "when" and when)]
        dynamic = any(part.dynamic for _, part in parts)
        runs = tuple((name, part.run, part.dynamic) for name, part in parts)
        return Part(partial(values.together, runs, not dynamic, when), dynamic or when is not None)

    def list(self, node: List, about: Shape) -> Part:
        parts = [self.value(child, about, many=True) for child in node]
        return Part(partial(values.listed, tuple(part.run for part in parts)), any(part.dynamic for part in parts))

    def choice(self, node: Map, about: Shape) -> Part:
        pairs = []
        for pair in node["when"]:
            if not isinstance(pair, List) or len(pair) != 2 or not isinstance(pair[0], Text):
                raise Mistake(place(pair, node.place), "each choice is [condition, value]; the last may be [else, value]")
            pairs.append((None if pair[0] == "else" else self.condition(pair[0]), self.value(pair[1], about).run))
        return Part(partial(values.chosen, tuple(pairs)), True)

    def given(self, node: Text, many: bool = False) -> Callable[[Row], object]:
        if not node.startswith("="):
            raise Mistake(node.place, f"'{node}' is no expression; it begins with '='")
        return self.run(tree.expression(node[1:], node.place), node.place, many)

    def condition(self, node: Text) -> Callable[[Row], bool]:
        return self.test(tree.condition(node, node.place), node.place)

    def run(self, node, place: str, many: bool = False) -> Callable[[Row], object]:
        """The closure of an expression's tree."""
        if isinstance(node, tree.Value):
            return lambda row, value=node.value: value
        if isinstance(node, tree.Path):
            at = self.column(node.name, place)
            return lambda row: row.values[at]
        if isinstance(node, tree.First):
            return partial(values.first, tuple(self.run(option, place, many) for option in node.options))
        source, calls = (node.source, node.calls) if isinstance(node, tree.Pipe) else (None, (node,))
        if isinstance(source, tree.Call):
            source, calls = None, (source, *calls)
        if source is None and calls[0].name not in SOURCES and calls[0].name in FUNCTIONS:
            raise Mistake(place, f"'{calls[0].name}' needs a value before it: COLUMN | {calls[0].name}")
        self.texts(source, calls, place)
        column = self.first(node)
        steps = tuple((self.step(call, Scope(self, place, many, self.first(*call.arguments) or column)), call.name in ON_NOTHING) for call in calls)
        return partial(values.piped, self.run(source, place) if source is not None else values.nothing, steps, column, place)

    def texts(self, source, calls: tuple[tree.Call, ...], place: str) -> None:
        """Errors: Mistake where a function would be given what is no text."""
        given = kinds(source) if source is not None else {"string"}
        for call in calls:
            if call.name in FUNCTIONS and call.name not in KEEPS | SOURCES:
                self.only(TEXT, given, f"what {call.name} is given", place)
            given = {GIVES[call.name]} if call.name in GIVES else given

    def only(self, wanted: set[str], given: set[str], what: str, place: str) -> None:
        for kind in sorted(given - wanted):
            raise Mistake(place, f"{what} is {'text' if wanted is TEXT else 'a date or a time'}, and here it is a {kind}")

    def named(self, name: str, parts: tuple[Callable, ...], place: str) -> Key:
        """The key of a resource of this mapping, or of another one of the site (`mapping.resource`), with these parts for its own where given."""
        key = self.keys.get(name) or self.others.get(name) or self.other(name, place)
        if len(parts) != len(key.parts) and (parts or name not in self.keys):
            raise Mistake(place, f"the key of '{name}' has {len(key.parts)} parts after its namespace, here are {len(parts)}")
        return key

    def other(self, name: str, place: str) -> Key:
        file, _, resource = name.rpartition(".")
        path = self.path.parent / f"{file}.yaml"
        found = framed(extended(path, MAPPING)[0], MAPPING).get("resources", {}) if re.fullmatch(r"[\w-]+", file) and path.is_file() else {}
        if resource not in found:
            raise Mistake(place, f"this mapping has no resource '{name}'; it has {', '.join(self.keys)}; one of another mapping of the site is called MAPPING.RESOURCE")
        node = found[resource]
        key = node.need("key")
        self.others[name] = Key(str(node.need("type")), f"{self.site.name}/{key[0]}", (values.nothing,) * (len(key) - 1), ("",), node.place)
        return self.others[name]

    def known(self, name: str, place: str) -> None:
        if name not in self.columns:
            raise Mistake(place, f"no column '{name}' is expected; columns.expect and columns.optional list those that rules may read")

    def column(self, name: str, place: str) -> int:
        self.known(name, place)
        self.read.add(name)
        return self.columns[name]

    def step(self, call: tree.Call, scope: "Scope") -> Callable:
        place = scope.place
        if call.name not in FUNCTIONS:
            raise Mistake(place, f"no function '{call.name}'; known are {', '.join(sorted(FUNCTIONS))}")
        make = FUNCTIONS[call.name]
        signature = inspect.signature(make)
        try:
            bound = signature.bind(scope, *call.arguments, **dict(call.named))
        except TypeError as error:
            raise Mistake(place, f"{call.name}: {error}") from None
        for parameter in list(signature.parameters.values())[1:]:
            if parameter.name in bound.arguments:
                bound.arguments[parameter.name] = self.arguments(call, parameter, bound.arguments[parameter.name], place)
        return make(*bound.args, **bound.kwargs)

    def arguments(self, call: tree.Call, parameter: inspect.Parameter, given, place: str):
        if parameter.kind is parameter.VAR_POSITIONAL:
            return tuple(self.argument(call, parameter, one, place) for one in given)
        return self.argument(call, parameter, given, place)

    def argument(self, call: tree.Call, parameter: inspect.Parameter, given, place: str):
        kind = parameter.annotation
        if kind.startswith("Given"):
            self.only(TEXT, kinds(given), f"{call.name}: '{parameter.name}'", place)
            return self.run(given, place)
        if kind == "int":
            if isinstance(given, tree.Value) and isinstance(given.value, int):
                return given.value
            raise Mistake(place, f"{call.name}: '{parameter.name}' is a whole number")
        if isinstance(given, tree.Path):
            return given.name
        if isinstance(given, tree.Value) and isinstance(given.value, (str, int)):
            return str(given.value)
        raise Mistake(place, f"{call.name}: '{parameter.name}' is a name or a 'text'")

    def test(self, node, place: str) -> Callable[[Row], bool]:
        """The closure of a condition's tree."""
        if isinstance(node, tree.Logic):
            parts = tuple(self.test(part, place) for part in node.parts)
            if node.how == "not":
                return lambda row: not parts[0](row)
            fold = all if node.how == "and" else any
            return lambda row: fold(part(row) for part in parts)
        value = self.run(node.value, place)
        if isinstance(node, tree.Exists):
            return lambda row: value(row) is not None
        return self.comparison(node, value, place)

    def comparison(self, node: tree.Compare, value: Callable, place: str) -> Callable[[Row], bool]:
        if node.how in ("matches", "in"):
            self.only(TEXT, kinds(node.value), f"what stands before '{node.how}'", place)
        if node.how == "matches":
            if not isinstance(node.other, tree.Value) or not isinstance(node.other.value, str):
                raise Mistake(place, "after 'matches' stands a 'regular expression'")
            match = compiled(place, node.other.value).fullmatch
            return lambda row: (text := value(row)) is not None and match(text) is not None
        if node.how == "in":
            if not isinstance(node.other, tree.Value) or not isinstance(node.other.value, tuple):
                raise Mistake(place, "after 'in' stands a list: ['1', '2']")
            among = frozenset(map(str, node.other.value))
            return lambda row: value(row) in among
        other = self.run(node.other, place)
        if isinstance(node.other, tree.Value) and kinds(node.value) <= TEXT:  # 性别 = 1 means the text, as in ['1', '2'] and [1, 2]
            other = lambda row, text=str(node.other.value): text
        wanted = node.how == "="
        return lambda row: (value(row) == other(row)) is wanted

    def table(self, name: str, place: str) -> Table:
        if name not in self.tables:
            if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
                raise Mistake(place, f"'{name}' is no name of a code table")
            folders = [folder / "tables" for folder in dict.fromkeys((self.home, self.path.parent, self.path.parent.parent, shipped("mappings")))]
            found = next((folder / f"{name}.csv" for folder in folders if (folder / f"{name}.csv").is_file()), None)
            if not found:
                raise Mistake(place, f"no code table {name}.csv in {' or '.join(map(shown, folders))}")
            self.tables[name] = load_table(found)
        return self.tables[name]


def kinds(node) -> set[str]:
    """The types that an expression may give."""
    if isinstance(node, tree.First):
        return set().union(*map(kinds, node.options))
    if isinstance(node, tree.Pipe):
        given = next((GIVES[call.name] for call in reversed(node.calls) if call.name in GIVES), None)
        return {given} if given else kinds(node.source)
    if isinstance(node, tree.Call):
        return {GIVES.get(node.name, "string")}
    return {"integer" if isinstance(node, tree.Value) and isinstance(node.value, int) else "string"}


class Scope(NamedTuple):
    """What a function may know while it is compiled: its place, whether its value stands in a list, the column it reads first, tables, and the other resources."""
    compiler: Compiler
    place: str
    many: bool
    column: str

    @property
    def zone(self) -> ZoneInfo:
        return self.compiler.source.zone

    def table(self, name: str) -> Table:
        return self.compiler.table(name, self.place)

    def reference(self, name: str, parts: tuple[Callable, ...]) -> Callable:
        """The step that gives a Reference to the resource of that name; nothing where its key is empty."""
        key = self.compiler.named(name, parts, self.place)

        def step(value, row):
            if (id := key.id(row, parts)) is None:
                return None
            return self.told(row, f"{key.type}/{id}", self.column or key.columns[0])
        return step

    def lookup(self, type: str, system: str, missing: str) -> Callable:
        """The step that gives a Reference which the run resolves, chunk by chunk."""
        shape(type, self.place)
        system = self.compiler.system(system, self.place)
        return lambda value, row: self.told(row, f"{type}?identifier={system}|{value}", self.column, missing)

    def told(self, row: Row, reference: str, column: str, missing: str = "hold") -> dict:
        row.targets.append(Target(reference, column, self.place, missing))
        return {"reference": reference}


def _changes(write: str, name: Text, about: Shape) -> bool:
    """The mode may write this element."""
    return write not in CHANGES or ("status" in name.lower() if write == "status" else about.child(name, name.place).many)

