"""Which process wrote a note, and whether it is still there: others on its machine need not wait to know that it was killed."""
from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path


def own() -> str:
    """This process as others of its machine find it: `machine/pid/start`; empty where the system does not tell."""
    try:
        return f"{_machine()}/{os.getpid()}/{_state(os.getpid())[1]}"
    except OSError:
        return ""


def gone(process: str) -> bool:
    """The process was of this machine and is no more. False for one of another machine, of which nothing is known."""
    try:
        machine, pid, start = process.split("/")
        if machine != _machine():
            return False
        state, started = _state(int(pid))
        return state in "ZX" or started != start
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False


@lru_cache(1)
def _machine() -> str:
    """The boot and the process namespace: two containers of one machine do not see each other's processes."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')}"


def _state(pid: int) -> tuple[str, str]:
    """(state, start in ticks since boot) of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], fields[19]
