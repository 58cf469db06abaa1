"""The command `yilian`: serve, import, demo, reindex, purge. Exit codes: 0 done, 1 some records were rejected, 2 a bad call, 3 it could not be done."""
from __future__ import annotations

import signal

# Ctrl-C while the modules load ends the process like any program, without a trace
_interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)

import asyncio
import contextlib
import logging
import os
import shlex
import socket
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from app import authoring, errors, upkeep
from app.auth.identify import is_loopback
from app.authoring import operator
from app.demo import alliance, export
from app.fhir import json as fhir
from app.jobs import rejects, runner
from app.main import open_world
from app.mapping import compiler, feed, rules, sources
from app.mapping.ahead import Ahead, started
from app.mapping.document import Mistake
from app.mapping.reject import Reject
from app.records import Prepared
from app.rest.wire import Wire
from app.settings import Settings
from app.terminal import console, problems, say, stop, told

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Store = Annotated[str, typer.Option(help="sqlite:PATH or mongodb://HOST/NAME", envvar="YILIAN_STORE")]
DEMO_MAPPING = "jiadingtcm/outpatient-visit"
LOUD = "OPEN STORE: no keys are asked for. Everyone on this machine reads and writes everything, as the operator organisation."
REQUESTS = (("Organization", "name:contains=医院", "_count=5"), ("Task", "code=fulfill", "_include=Task:focus", "_include=Task:patient"),
            ("Encounter", "_has:Condition:encounter:code:text=原发性高血压", "_count=5"), ("AuditEvent", "subtype=update", "_count=3"))
"""What `demo` offers to try: a type and the parameters of a search."""
SHOWN, TOLD_EACH = 12, 10
"""Rejects that are printed; seconds between two lines of progress where there is no terminal."""
signal.signal(signal.SIGINT, _interrupt)


def main() -> None:
    """The entry point: what is known to go wrong is one sentence, not a trace."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    app()


@app.command()
def serve(store: Store = "sqlite:data/yilian.db", host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
          port: Annotated[int, typer.Option(min=1, max=65535)] = 8080, workers: Annotated[int, typer.Option(min=1, max=64, help="processes that serve")] = 1,
          open: Annotated[bool, typer.Option("--open", help="serve without keys: this machine only, acting as one operator organisation")] = False) -> None:
    """Serve a store over FHIR REST."""
    if not open:
        stop("Clients have no keys in this version: only an open store serves. Add --open, and everyone on this machine acts as the operator.", 2)
    if not is_loopback(host):
        stop(f"An open store listens on this machine only; {host} is no loopback address. Use --host 127.0.0.1.", 2)
    if workers > 1:
        _lasting(store, "each worker would have its own. Serve it with one worker")
    problems.print(LOUD, style="bold yellow", soft_wrap=True)
    _serve(store, host, port, workers)


def _lasting(store: str, why: str) -> None:
    if store == "sqlite::memory:":
        stop(f"A store in memory belongs to one process: {why}, or name a file: sqlite:PATH.", 2)


def _serve(store: str, host: str, port: int, workers: int) -> None:
    with told(), socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            stop(f"Port {port} is in use: stop what serves there, or choose another with --port.", 3)
    with told(Mistake, Reject, undone=feed.Busy):
        asyncio.run(_opens(Settings.read(store=store, open=True)))
    os.environ.update(YILIAN_STORE=store, YILIAN_OPEN="yes")
    console.print(f"Serving [bold]{store}[/] at [bold]http://{host}:{port}/fhir[/]  (Ctrl-C stops)", soft_wrap=True)
    uvicorn.run("app.main:create_app", factory=True, host=host, port=port, workers=workers, loop="uvloop", http=Wire, access_log=False, log_level="warning",
                timeout_graceful_shutdown=30, server_header=False)


async def _opens(settings: Settings) -> None:
    """The store can be served: told here in one sentence, before the processes start."""
    async with open_world(settings):
        pass


@app.command("import")
def import_(mapping: Annotated[str, typer.Argument(help="a name under mappings/, such as jiadingtcm/outpatient-visit, that of a site for all its mappings, or a path of a .yaml")],
            paths: Annotated[list[Path], typer.Argument(help="files of the export, folders, zip and gz archives")], store: Store = "sqlite:data/yilian.db",
            dry_run: Annotated[bool, typer.Option("--dry-run", help="do all but write")] = False,
            out: Annotated[Path, typer.Option(help="folder for rejects.csv, rejects.ndjson, unmapped.csv, summary.json")] = Path("import-report"),
            max_rejects: Annotated[str, typer.Option(help="stop beyond so many rejects: 500 or 1%")] = "",
            site: Annotated[str, typer.Option(help="the site whose export it is, a name under mappings/, where it is not the mapping's own")] = "",
            zone: Annotated[str, typer.Option(help="zone of the source's times, such as Asia/Shanghai, instead of the mapping's")] = "",
            again: Annotated[bool, typer.Option("--again", help="map a file once more that is done already")] = False) -> None:
    """Import a legacy export through a mapping file."""
    for path in paths:
        if not path.is_file() and not path.is_dir():  # a pipe cannot be read twice
            stop(f"{path} is no file and no folder.", 2)
    with told(Mistake, Reject, undone=feed.Busy):
        feed.limit(max_rejects)
        mappings, code, reports, file = _mappings(mapping, site, zone), 0, Counter(), None
        settings = Settings.read(store="sqlite::memory:" if dry_run and not _exists(store) else store, open=True)
        alone = len(mappings) == len(paths) == 1 and paths[0].is_file() and paths[0].suffix.lower() not in sources.UNPACKED
        for file in sources.files(paths, lambda name: next((at for at, one in enumerate(mappings) if one.source.reads(name)), len(mappings))):
            if file.refused:
                _refuse(file, file.refused, "mend or unpack it, and import it again.")
                code = 2
                continue
            wanted = [one for one in mappings if file.path in paths and len(mappings) == 1 or one.source.reads(file.path.name)]
            if not wanted:
                problems.print(f"{file.name}: no mapping of {mapping} is for a file of this name; it was passed over", style="yellow", markup=False, highlight=False, soft_wrap=True)
                code = max(code, 1)
            for one in wanted:
                folder = out if alone else out / one.name.rpartition("/")[2] / file.name
                reports[folder] += 1  # files of one name, from several folders
                folder = folder if reports[folder] == 1 else folder.with_name(f"{folder.name}.{reports[folder]}")
                code = max(code, _imported(settings, one, file, folder, dry_run, max_rejects, again))
    if file is None:
        stop(f"{', '.join(map(str, paths))}: no file to import is in it.", 2)
    raise typer.Exit(code)


def _imported(settings: Settings, mapping: rules.Mapping, file: sources.File, out: Path, dry: bool, most: str, again: bool) -> int:
    """The exit code of one file; one that is refused as a whole does not keep others from coming in."""
    feed.seldom()
    try:
        with started(mapping, file.path, Prepared) as ahead:
            done = asyncio.run(_import(settings, mapping, file, out, dry, most, again, ahead))
    except Reject as reject:
        _refuse(file, reject, _advice(reject.code, mapping))
        return 2
    _report(done, out)
    return 3 if done.stopped else 1 if done.rejected else 0


def _refuse(file: sources.File, reject: Reject, advice: str) -> None:
    problems.print(f"{reject}. {file.name} was not imported: {advice}", style="red", markup=False, highlight=False, soft_wrap=True)


def _exists(store: str) -> bool:
    """False for an embedded store whose file is not there."""
    kind, _, path = store.partition(":")
    return kind != "sqlite" or path == ":memory:" or Path(path).exists()


def _mappings(name: str, site: str = "", zone: str = "") -> list[rules.Mapping]:
    """A mapping by its path, or by its name under the shipped mappings; a site's name means all of them."""
    return rules.ordered([compiler.compile(one, site, zone) for one in authoring.found(name)])


async def _import(settings: Settings, mapping, file: sources.File, out: Path, dry: bool, most: str, again: bool, ahead: Ahead | None):
    async with open_world(settings) as world:
        pace = _pace()
        with _progress(file.name, file.path.stat().st_size) as tell:
            return await feed.run(world, mapping, file.path, name=file.name, out=out, dry=dry, max_rejects=most, again=again, ahead=ahead, progress=lambda done, size, ledger: tell(
                done, size or None, f"{file.name}: {ledger.records:,} records, {ledger.rejected:,} rejects{pace(ledger.records)}"))


def _pace():
    """Gives a function (records) -> `, 4,100 a second`, from its first call on: what is counted before that may be of an earlier call of the command."""
    first = None

    def told(records: int) -> str:
        nonlocal first
        now = time.monotonic()
        first = first or (now, records)
        return f", {(records - first[1]) / (now - first[0]):,.0f} a second" if records > first[1] and now > first[0] else ""
    return told


def _advice(code: str, mapping: rules.Mapping) -> str:
    """What to do about a file that is refused as a whole."""
    if code == "encoding":
        return f"save it as {mapping.source.encoding}, or name its own encoding under source: in the mapping."
    return f"the mapping {mapping.name} says under columns: what it expects."


@contextlib.contextmanager
def _progress(text: str, total: int | None = None):
    """Gives a function (done, total, text) that shows how far it is: a bar on a terminal, else a plain line each ten seconds."""
    if not problems.is_terminal:
        yield _plain(time.monotonic())
        return
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=problems, transient=True) as bar:
        task = bar.add_task(text, total=total)
        yield lambda done, total, text=None: bar.update(task, completed=done, total=total, **({"description": text} if text else {}))


def _plain(last: float):
    first = None

    def tell(done: int, total: int | None, text: str = "") -> None:
        nonlocal first, last
        now = time.monotonic()
        first = first or (now, done)
        if now - last >= TOLD_EACH:
            last = now
            problems.print(text + (f" ({done * 100 // total} %{_left(now - first[0], done - first[1], total - done)})" if total else ""), highlight=False, markup=False, soft_wrap=True)
    return tell


def _left(seconds: float, done: int, rest: int) -> str:
    """`, 2:05 left` by what was done in so many seconds; nothing where that does not tell."""
    if seconds <= 0 or done <= 0:
        return ""
    minutes, seconds = divmod(round(rest * seconds / done), 60)
    return f", {minutes}:{seconds:02} left"


def _report(done, out: Path) -> None:
    how = " (done before)" if done.already else " (dry run: nothing written)" if done.dry else f" (went on at row {done.resumed})" if done.resumed else ""
    say(f"{done.file}: {done.records:,} records, {done.accepted:,} accepted, {done.rejected:,} rejected in {done.seconds:.1f} s{how}")
    for type, by in done.resources.items():
        say(f"  {type} {sum(by.values()):,} ({', '.join(f'{n:,} {how}' for how, n in by.items() if n)})")
    for one in done.rejects[:SHOWN]:
        say(f"  row {one.row} {one.code}{one.column and ' ' + one.column}: {one.message}", style="dim")
    if len(done.rejects) > SHOWN:
        say(f"  and {len(done.rejects) - SHOWN:,} more")
    for name, number in done.unread.items():
        say(f"  column {name} has values in {number:,} records, and no rule reads it: read it, or list it under columns: ignore:")
    if not done.already and (closed := done.notes.get("closed")):
        say(f"  closed {closed:,} rejects of earlier files, whose records came in corrected")
    if done.held:
        say(f"  {done.held:,} of them wait for what they refer to, and come in by themselves with it")
    if done.rejected > done.held:
        say(f"  correct the rows in {out / 'rejects.csv'} and import that file")
    for name in sorted({one.table for one in done.unmapped}):
        say(f"  complete {out / f'unmapped-{name}.csv'} and append its lines to the code table {name}, which lacks these codes")
    for name in done.unpublished:
        say(f"  the code table {name} is too large for the store to hold as a ConceptMap: $translate does not know it")
    if done.stopped:
        say("  Stopped: too many rejects. " + ("The rest was not looked at." if done.dry else "What was accepted so far is stored; run it again with a higher --max-rejects to go on."))


@app.command()
def demo(store: Store = "sqlite:data/yilian.db", port: Annotated[int, typer.Option(min=1, max=65535)] = 8080) -> None:
    """Load the demonstration alliance, import a legacy export, and serve until Ctrl-C. A second time nothing is doubled."""
    folder = Path("data/demo")
    _lasting(store, "what is loaded would be gone before it is served. Leave --store out")
    with told(Mistake, Reject, undone=feed.Busy):
        done = asyncio.run(_demonstrate(Settings.read(store=store, open=True), folder))
    _report(done, folder / "report")
    say("\nFour requests to try:")
    for type, *parameters in REQUESTS:
        say(f"  {_curl(f'http://127.0.0.1:{port}/fhir/{type}', parameters)}")
    say("")
    problems.print(LOUD, style="bold yellow", soft_wrap=True)
    _serve(store, "127.0.0.1", port, 1)


def _curl(url: str, parameters: list[str]) -> str:
    """A search for the shell; curl itself writes Chinese as a URL needs it."""
    return f"curl -G {url} " + " ".join(f"--data-urlencode {shlex.quote(one)}" for one in (*parameters, "_pretty=true"))


async def _demonstrate(settings: Settings, folder: Path):
    source = folder / "outpatient-visits.csv"
    if not source.exists():
        export.write(source)
    async with open_world(settings) as world:
        with _progress("the demonstration alliance") as tell:
            counts = await alliance.load(world, lambda done, total: tell(done, total, "the demonstration alliance"))
        say(f"The demonstration alliance: {sum(sum(by.values()) for by in counts.values()):,} resources of {len(counts)} types, "
             f"{sum(by.get('created', 0) for by in counts.values()):,} of them new")
        with _progress("a legacy export", source.stat().st_size) as tell:
            return await feed.run(world, _mappings(DEMO_MAPPING)[0], source, out=folder / "report", progress=lambda done, size, ledger: tell(done, size, "a legacy export"))


@app.command()
def reindex(store: Store = "sqlite:data/yilian.db") -> None:
    """Make a store's index anew, as after a change of version or of search parameters. It may be served meanwhile."""
    if not _exists(store):
        stop(f"There is no store at {store.removeprefix('sqlite:')}; name one with --store.", 2)
    with told(Mistake, Reject, undone=feed.Busy):
        say(asyncio.run(_reindex(Settings.read(store=store, open=True))))


async def _reindex(settings: Settings) -> str:
    """The end of a job, in one line. Errors: Conflict where another process does it."""
    async with open_world(settings, reindexing=True) as world:
        fresh = False
        while not fresh:  # one that was left undone, of some types perhaps, is ended first
            task, fresh = await runner.ask(world, operator(settings, "reindex"), "reindex", "Reindex of all types", {})
            if not runner.is_free(task):
                raise errors.Conflict(f"Another process makes the index anew: {task.ref} tells how far it is.")
            with _progress("indexing") as tell:
                await runner.do(world, task, lambda done, total: tell(done, total, f"{done:,} resources indexed"))
        ended = fhir.loads((await world.store.get("Task", task.id)).text)
        told = f"{task.ref} {ended['status']}: {ended['businessStatus']['text']}."
        if ended["status"] != "completed":
            raise errors.Conflict(told)
        return told


app.add_typer(authoring.app, name="map")
open_rejects = typer.Typer(help="The records that imports refused, until they come in corrected or are waived.", no_args_is_help=True)
app.add_typer(open_rejects, name="rejects")


@open_rejects.command("list")
def rejects_list(store: Store = "sqlite:data/yilian.db") -> None:
    """List the open rejects of all runs."""
    for one in _rejects(store, rejects.listed):
        reject = one.reject
        say(f"{one.id}  {one.mapping} {one.file} row {reject.row} {reject.code}{reject.column and ' ' + reject.column}: {reject.message}")


@open_rejects.command("waive")
def rejects_waive(names: Annotated[list[str], typer.Argument(help="TASK/ROW, as listed")], reason: Annotated[str, typer.Option(help="why, for the ledger")],
                  store: Store = "sqlite:data/yilian.db") -> None:
    """Close rejects that will not be corrected."""
    if not reason.strip():
        stop("A waiver needs a --reason.", 2)
    _rejects(store, rejects.waive, names, reason)


def _rejects(store: str, what, *more):
    if not _exists(store):
        stop(f"There is no store at {store.removeprefix('sqlite:')}; name one with --store.", 2)

    async def do(settings: Settings):
        async with open_world(settings) as world:
            return await what(world, operator(settings, "rejects"), *more)
    with told(Mistake, Reject, undone=feed.Busy):
        return asyncio.run(do(Settings.read(store=store, open=True)))


@app.command()
def purge(resource: Annotated[str, typer.Argument(help="TYPE/ID")], reason: Annotated[str, typer.Option(help="why, for the log")], store: Store = "sqlite:data/yilian.db",
          version: Annotated[int | None, typer.Option(min=1, help="this version alone; all that are not current where it is left out")] = None,
          yes: Annotated[bool, typer.Option("--yes", help="do it; without it, only what would go is told")] = False) -> None:
    """Remove the content of old versions for good: their text and index rows. What is current stays: delete it first."""
    if not _exists(store):
        stop(f"There is no store at {store.removeprefix('sqlite:')}; name one with --store.", 2)
    type, _, id = resource.partition("/")
    if not id or "/" in id or not reason.strip():
        stop("A purge takes TYPE/ID, such as Patient/7, and a --reason.", 2)
    with told(Mistake, Reject, undone=feed.Busy):
        gone = asyncio.run(_purge(Settings.read(store=store, open=True), type, id, version, reason, yes))
    if not gone:
        stop(f"{resource} has no such version that is not current.", 2)
    named = f"{resource}, version {', '.join(map(str, gone))}"
    if not yes:
        stop(f"This would remove {named}, for good. Add --yes.", 2)
    say(f"Removed: {named}.")


async def _purge(settings: Settings, type: str, id: str, version: int | None, reason: str, yes: bool) -> list[int]:
    """The versions that were, or without `yes` would be, removed."""
    async with open_world(settings) as world:
        versions = [v for v in await upkeep.purgeable(world, type, id) if version in (None, v)]
        return [v for v in versions if not yes or await upkeep.purge(world, operator(settings, "purge"), type, id, v, reason)]
