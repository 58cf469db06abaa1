"""The page on functions of mappings, from the functions themselves: `python -m app.mapping.reference > docs/mapping-functions.md`."""
from __future__ import annotations

import inspect

from app.mapping import expression
from app.mapping.functions import FUNCTIONS, GIVES, ON_NOTHING, SOURCES

KINDS = {"str": "a name or 'text'", "int": "a whole number"}


def page() -> str:
    """The page as Markdown."""
    grammar = inspect.getdoc(expression).partition("\n\n")[2].partition("\n\n")[0]
    return "\n".join([
        "# Expressions and functions of mappings", "",
        "Made from the code by `python -m app.mapping.reference > docs/mapping-functions.md`; a test holds it to that.", "",
        "An expression stands behind `=`. It is a source path, then functions; `//` takes the first that is not empty.", "", "```", grammar, "```", "",
        "Of a function that is given nothing the result is nothing, but for " + ", ".join(f"`{name}`" for name in sorted(ON_NOTHING)) + ". "
        + " and ".join(f"`{name}`" for name in sorted(SOURCES)) + " begin an expression; all others stand behind a `|`.", "",
        *(line for name in sorted(FUNCTIONS) for line in _entry(name))])


def _entry(name: str) -> list[str]:
    make = FUNCTIONS[name]
    parameters = list(inspect.signature(make).parameters.values())[1:]
    kinds = [f"- `{p.name}`: {'an expression' if p.annotation.startswith('Given') else KINDS[p.annotation]}"
             + (", any number of them" if p.kind is p.VAR_POSITIONAL else "" if p.default is p.empty else f", `{p.default}` where it is left out" if p.default else ", may be left out")
             for p in parameters]
    return [f"## {name}", "", f"`{name}{_call(parameters)}`" + (f" gives a {GIVES[name]}." if name in GIVES else ""), "", inspect.getdoc(make), "", *kinds, *([""] if kinds else [])]


def _call(parameters) -> str:
    told = ", ".join(f"{p.name}, ..." if p.kind is p.VAR_POSITIONAL else f"{p.name}=" if p.default is not p.empty else p.name for p in parameters)
    return f"({told})" if told else ""


if __name__ == "__main__":
    print(page(), end="")
