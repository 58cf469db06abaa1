"""`yilian map`: what the author of a mapping asks: check, test, explain, new, trace."""
from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Annotated

import typer

from app.caller import Caller
from app.jobs import trace as traces
from app.main import open_world
from app.mapping import cases, check, draft, explain, sources
from app.mapping.compiler import OWN, compile
from app.mapping.document import Mistake
from app.mapping.reject import Reject
from app.settings import Settings, shipped
from app.terminal import say, stop, told

app = typer.Typer(help="For the authors of mappings: check, test, explain, draft, and trace back.", no_args_is_help=True)
Named = Annotated[str, typer.Argument(help="a site or a mapping under mappings/, or a path")]


def found(name: str) -> list[Path]:
    """The mappings of a path, of a name under `mappings/` here or the shipped ones, or of a site; of all sites where it is empty. Ends the command where there are none."""
    homes = [OWN, shipped("mappings")]
    paths = [Path(name)] if name.endswith((".yaml", ".yml")) else [home / f"{name}.yaml" for home in homes]
    if one := next((path for path in paths if path.is_file()), None):
        return [one]
    folders = [Path(name), *(home / name for home in homes)] if name else []
    files = next((some for folder in folders if (some := of_site(folder))), []) if name else next((some for home in homes if (some := _all(home))), [])
    if not files:
        known = sorted({f"{one.parent.name}/{one.stem}" for home in homes for one in _all(home)})
        stop(f"There is no mapping {name}; there are {', '.join(known)}.", 2)
    return files


def operator(settings: Settings, client: str) -> Caller:
    """Who works at the machine itself: the operator organisation, by a command of this name."""
    base = settings.base.rstrip("/") + "/fhir" if settings.base else ""
    return Caller(settings.organization, client, purpose="HSYSADMIN", operator=True, base=base)


def _all(home: Path) -> list[Path]:
    return [one for site in sorted(home.glob("*/site.yaml")) for one in of_site(site.parent)]


def of_site(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.yaml") if path.name != "site.yaml") if (folder / "site.yaml").is_file() else []


@app.command("check")
def check_(name: Named = "") -> None:
    """Tell every fault of mappings, by file and line: unknown elements, wrong types, missing children, columns that nothing reads. Exit code 2 where there is one."""
    mappings = found(name)
    faults = [fault for path in mappings for fault in check.faults(path)]
    for fault in faults:
        say(str(fault))
    say(f"{len(mappings)} mappings, {len(faults)} faults")
    if faults:
        raise typer.Exit(2)


@app.command("test")
def test_(name: Named = "") -> None:
    """Run the cases beside mappings (tests/CASE/in.* and expect.yaml). Exit code 1 where one gives something else."""
    files, failed, number = found(name), 0, 0
    with told(Mistake, Reject):
        for folder in dict.fromkeys(path.parent for path in files):
            for case in cases.cases(folder):
                if not cases.named(case).is_file():
                    raise Mistake(f"{folder.name}/{case.name}", f"there is no mapping {cases.named(case).stem} for this case")
                if cases.named(case) not in files:
                    continue
                differences = cases.differences(case)
                number, failed = number + 1, failed + bool(differences)
                say(f"{folder.name}/{case.name}: {'as expected' if not differences else ''}".rstrip())
                for difference in differences:
                    say(f"  {difference}")
    say(f"{number} cases, {failed} with differences")
    if failed:
        raise typer.Exit(1)


@app.command("explain")
def explain_(mapping: Named, path: Annotated[Path, typer.Argument(help="a file of the export; of a folder or archive the first that the mapping is for")],
             row: Annotated[int, typer.Option(min=1, help="the record's row, as rejects name it")]) -> None:
    """Show what each rule makes of one record, step by step. No store is read or written."""
    files = found(mapping)
    if len(files) != 1:
        stop(f"{mapping} has several mappings; name one.", 2)
    if not path.exists():
        stop(f"{path} is no file and no folder.", 2)
    with told(Mistake, Reject):
        source = compile(files[0]).source
        for file in sources.files([path]):
            if file.refused:
                stop(f"{file.name}: {file.refused}.", 2)
            if file.path == path or source.reads(file.path.name):
                for line in explain.explained(files[0], file.path, row):
                    say(line)
                return
    stop(f"No file of {path} is for {mapping}.", 2)


@app.command("new")
def new_(sample: Annotated[Path, typer.Argument(help="a file of the export")], site: Annotated[str, typer.Option(help="the site's name")],
         name: Annotated[str, typer.Option(help="the mapping's name; else the sample's")] = "", out: Annotated[Path, typer.Option(help="folder of the sites")] = Path("mappings"),
         type: Annotated[str, typer.Option(help="what a record makes, such as Observation")] = "Patient") -> None:
    """Draft a mapping from a sample file: columns, guessed types and encoding, code tables to fill in."""
    folder, name = out / site, name or "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in sample.stem).strip("-") or "draft"
    if not sample.is_file() or not site.replace("-", "").isalnum() or not site.isascii():
        stop(f"A draft takes a sample file, which {sample} is not, and a --site." if not sample.is_file() else "A --site is made of letters, digits and -.", 2)
    if not re.fullmatch(r"\w[\w-]*", name) or name == "site":
        stop(f"'{name}' is no name of a mapping: letters, digits, - and _, and not 'site'.", 2)
    with told(Mistake, Reject):
        for file, text in draft.drafted(sample, site, name, folder, type).items():
            path = folder / file
            if path.exists():
                stop(f"{path} is there already; it was left as it is. Give the draft another --name.", 2)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            say(f"drafted {path}")
    say(f"Read it, fill in the target codes of its tables, then: yilian map check {folder / name}.yaml")


@app.command("trace")
def trace_(resource: Annotated[str, typer.Argument(help="TYPE/ID")], store: Annotated[str, typer.Option(help="sqlite:PATH or mongodb://HOST/NAME", envvar="YILIAN_STORE")] = "sqlite:data/yilian.db") -> None:
    """Tell for each version of a resource the mapping, file and row that it came from. It is an access, and recorded."""
    type, _, id = resource.partition("/")
    kind, _, path = store.partition(":")
    if not id or "/" in id or kind == "sqlite" and not Path(path).exists():
        stop(f"A trace takes TYPE/ID, such as Patient/7, and the --store that holds it; here they are {resource} and {store}.", 2)

    async def do(settings: Settings):
        async with open_world(settings) as world:
            return await traces.traced(world, operator(settings, "trace"), type, id)
    with told():
        for one in asyncio.run(do(Settings.read(store=store, open=True))):
            came = f"{one.mapping}, file {one.file or '(not named here)'} ({one.digest}), row {one.row}" if one.mapping else "no import wrote it"
            say(f"{resource} version {one.version} {one.updated}: {came}")
