"""What commands say, and how they end where something is known to go wrong: one sentence, not a trace."""
from __future__ import annotations

import contextlib

import typer
from rich.console import Console

from app import errors

console, problems = Console(), Console(stderr=True)


def say(text: str, **style) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True, **style)


def stop(text: str, code: int) -> None:
    """Ends the command. Codes: 2 the call or a file is wrong, 3 it could not be done."""
    problems.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


@contextlib.contextmanager
def told(*wrong: type[Exception], undone: type[Exception] = errors.Failure):
    """Tells failures; `wrong` are those of the caller's own files, `undone` one beside the waist's that may be tried again."""
    try:
        yield
    except (ValueError, *wrong) as error:
        stop(str(error), 2)
    except OSError as error:
        stop(f"{error.filename or 'The files could not be written'}: {error.strerror or error}. Run it again when that is mended: it goes on where it stopped.", 3)
    except (errors.Failure, undone) as error:
        stop(str(error), 3)
