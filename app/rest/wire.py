"""One connection: uvicorn's own, with a bound on what stands before a body, and refusals in FHIR's words where the bytes are no HTTP."""
from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.errors import Failure, HeadTooLarge, Malformed
from app.fhir import json
from app.rest import negotiation

LIMIT = 512 * 1024
"""Bytes of headers: more than one read of the socket brings, so that a head which came with its body is never too large."""


class Wire(HttpToolsProtocol):
    head, reading = 0, False

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.head += len(data)
        if self.reading and self.head > LIMIT and not self.transport.is_closing():
            self._refuse(HeadTooLarge(f"The headers of a request have {LIMIT} bytes at most."))

    def on_message_begin(self) -> None:
        self.head, self.reading = 0, True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.reading = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(Malformed("This is no HTTP/1.1. In an address all but ASCII is percent-encoded, and it has 65,535 bytes at most."))

    def _refuse(self, failure: Failure) -> None:
        content = json.dumps(failure.outcome())
        self.transport.write(STATUS_LINE[failure.status] + b"content-type: %s; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (
            negotiation.FHIR.encode(), len(content)) + content)
        self.transport.close()
