"""The house plan holds: rooms import only floors below their own, each library has one home, pure rooms are pure."""
from __future__ import annotations

import ast
from pathlib import Path

import pytest

APP = Path(__file__).parent.parent / "app"
FLOORS = [("errors", "caller", "settings", "cursor", "terminal"), ("fhir",), ("search",), ("workflow",), ("store",), ("sharing", "audit"), ("world", "links", "terms"), ("structures",), ("change",), ("commit", "page"), ("records",),
          ("referral", "mapping", "auth", "subscriptions", "upkeep"), ("jobs",), ("demo",), ("rest", "console", "imaging"), ("main",), ("authoring",), ("cli",)]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
GROUND_ORDER = ("errors", "settings", "caller", "cursor", "terminal")
HOMES = {"pymongo": ("store/mongo",), "mongoengine": ("store/mongo",), "sqlite3": ("store/sqlite",), "jose": ("auth/tokens",), "jinja2": ("console",),
         "pydicom": ("mapping/readers", "imaging"), "fastapi": ("rest", "console", "imaging", "auth", "main"), "starlette": ("rest", "console", "imaging", "auth", "main"),
         "ucumvert": ("fhir/ucum",), "lark": ("fhir/ucum",), **dict.fromkeys(("lxml", "python_calamine", "ijson"), ("mapping/readers",))}
WAIST = {"world", "change", "terms", "structures", "commit", "page", "records"}
STORE_USERS = {"store", "sharing", "audit", "main", *WAIST}
PURE = ("fhir", "search", "workflow")
IMPURE = {"time", "asyncio", "socket", "sqlite3", "random", "secrets", "os", "subprocess", "urllib", "http"}


def files():
    return sorted(p for p in APP.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(APP).with_suffix("").parts[0]


def imports(path: Path):
    """The absolute names of all that a file imports, type-only imports included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(path: Path):
    return [name.split(".")[1] for name in imports(path) if name.startswith("app.") and name.count(".") >= 1]


def test_every_room_stands_on_a_floor():
    assert {room(p) for p in files()} - {"__init__"} <= set(FLOOR)


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(APP)))
def test_a_room_imports_only_floors_below_its_own(path):
    if room(path) == "__init__":
        return
    for other in ours(path):
        same = other == room(path)
        below = FLOOR[other] < FLOOR[room(path)]
        ground = FLOOR[other] == FLOOR[room(path)] == 0 and GROUND_ORDER.index(other) < GROUND_ORDER.index(room(path))
        assert same or below or ground, f"{path.relative_to(APP)} imports {other}"


def test_no_two_files_import_each_other_in_a_circle():
    graph = {}
    for path in files():
        name = ".".join(["app", *path.relative_to(APP).with_suffix("").parts]).removesuffix(".__init__")
        graph[name] = {n for n in imports(path) if n.startswith("app.")}
    known = set(graph)
    edges = {n: {t if t in known else t.rpartition(".")[0] for t in targets} & known - {n} for n, targets in graph.items()}
    done: set[str] = set()

    def walk(name, trail):
        assert name not in trail, " -> ".join([*trail, name])
        if name not in done:
            for other in edges[name]:
                walk(other, [*trail, name])
            done.add(name)

    for name in edges:
        walk(name, [])


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(APP)))
def test_each_library_has_one_home(path):
    where = str(path.relative_to(APP).with_suffix(""))
    for name in imports(path):
        homes = HOMES.get(name.split(".")[0])
        assert homes is None or any(where == h or where.startswith(h) for h in homes), f"{where} imports {name}"


def test_only_the_waist_and_its_helpers_reach_the_store():
    for path in files():
        if room(path) in STORE_USERS:
            continue
        for name in imports(path):
            # the shapes of what comes out are everybody's; doing anything with a store is not
            assert not name.startswith("app.store") or name.startswith("app.store.base."), f"{path} imports {name}"
            assert name != "app.store.base.Store" and name != "app.store.base.Tx", f"{path} imports {name}"


def test_sharing_is_imported_by_the_waist_alone():
    for path in files():
        assert room(path) in {"sharing", *WAIST} or "sharing" not in ours(path), path


@pytest.mark.parametrize("path", [p for p in files() if room(p) in PURE], ids=lambda p: str(p.relative_to(APP)))
def test_pure_rooms_have_no_clock_store_or_network(path):
    assert not {name.split(".")[0] for name in imports(path) if not name.startswith("urllib.parse.")} & IMPURE


def test_the_store_knows_rows_and_queries_and_nothing_of_fhir():
    for path in files():
        if room(path) == "store":
            assert set(ours(path)) <= {"store", "search", "errors", "settings"}
            assert all(not n.startswith("app.search") or n.startswith(("app.search.query", "app.search.words")) for n in imports(path)), path


def test_of_mapping_only_the_feed_knows_the_waist():
    for path in files():
        if room(path) == "mapping" and path.name != "feed.py":
            assert "records" not in ours(path), path
