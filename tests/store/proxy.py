"""A TCP proxy that tests cut: all connections at once, or one when certain bytes pass."""
from __future__ import annotations

import asyncio
from urllib.parse import urlsplit


class Proxy:
    """Between a client and the server of a mongodb url. `url` is the client's; `open` False refuses new connections.

    cut_on: bytes in what the client sends at which its connection is cut, before or (`late`) after they reach the server; each cut is counted.
    hold: seconds by which all that the client sends comes late.
    """

    def __init__(self, url: str):
        self._there = urlsplit(url)
        self.open, self.cut_on, self.late, self.cuts, self.most = True, b"", False, 0, 1
        self.hold = 0.0
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"mongodb://127.0.0.1:{port}{self._there.path or '/'}?directConnection=true"
        return self

    async def __aexit__(self, *_) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader, writer) -> None:
        if not self.open:
            writer.transport.abort()
            return
        there = await asyncio.open_connection(self._there.hostname, self._there.port)
        self._writers |= {writer, there[1]}
        both = [asyncio.create_task(self._pass(reader, there[1], writer, watched=True)), asyncio.create_task(self._pass(there[0], writer, there[1]))]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, there[1]):
            end.transport.abort()
            self._writers.discard(end)
        await asyncio.wait(both)

    async def _pass(self, reader, writer, back, watched: bool = False) -> None:
        try:
            while data := await reader.read(65536):
                hit = watched and self.cut_on and self.cut_on in data and self.cuts < self.most
                if hit and not self.late:
                    self.cuts += 1
                    return
                if watched and self.hold:
                    await asyncio.sleep(self.hold)
                writer.write(data)
                await writer.drain()
                if hit:
                    self.cuts += 1
                    back.transport.abort()  # the server acts on it, its answer finds nobody
                    await asyncio.sleep(0.2)
                    return
        except (ConnectionError, RuntimeError):
            pass
