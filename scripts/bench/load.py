"""A load generator: some connections, each sending its next request when the last is answered. Counts answers and their times."""
from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field


@dataclass
class Result:
    """Answers in `seconds`; statuses seen; times of answers in seconds, sorted."""

    seconds: float
    statuses: dict[int, int]
    times: list[float] = field(repr=False)

    @property
    def rate(self) -> float:
        return len(self.times) / self.seconds

    def percentile(self, part: float) -> float:
        return self.times[min(len(self.times) - 1, int(len(self.times) * part))] if self.times else 0.0


def request(method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
    """One HTTP/1.1 request as bytes."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/fhir+json\r\n{headers}"
    if body:
        head += f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class _Connection(asyncio.Protocol):
    def __init__(self, source, until: float, times: list, statuses: dict, done):
        self.source, self.until, self.times, self.statuses, self.done = source, until, times, statuses, done
        self.buffer, self.missing, self.began = b"", -1, 0.0

    def connection_made(self, transport):
        self.transport = transport
        self.send()

    def send(self):
        self.began = time.perf_counter()
        if self.began > self.until:
            self.transport.close()
            return
        self.transport.write(next(self.source))

    def data_received(self, data):
        self.buffer += data
        if self.missing < 0:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15:].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self.missing = end + 4 + length
            status = int(self.buffer[9:12])
            self.statuses[status] = self.statuses.get(status, 0) + 1
        if len(self.buffer) >= self.missing:
            self.times.append(time.perf_counter() - self.began)
            self.buffer, self.missing = self.buffer[self.missing:], -1
            self.send()

    def connection_lost(self, error):
        if not self.done.done():
            self.done.set_result(None)


async def run(port: int, requests, *, connections: int = 32, seconds: float = 5.0) -> Result:
    """Sends from `requests` (a list that is gone round, or an endless iterator) for `seconds`."""
    source = itertools.cycle(requests) if isinstance(requests, list) else requests
    loop = asyncio.get_running_loop()
    times: list[float] = []
    statuses: dict[int, int] = {}
    began = time.perf_counter()
    waits = []
    for _ in range(connections):
        done = loop.create_future()
        waits.append(done)
        await loop.create_connection(lambda done=done: _Connection(source, began + seconds, times, statuses, done), "127.0.0.1", port)
    await asyncio.gather(*waits)
    return Result(time.perf_counter() - began, statuses, sorted(times))
