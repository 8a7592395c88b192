"""A download mirror on 127.0.0.1 that can be told to misbehave."""

import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(kw_only=True)
class Mirror:
    """Serves `files` by name; every request's ``Range`` header is noted in `ranges`."""

    files: dict[str, bytes]
    ignore_range: bool = False  # always the whole file
    content_range: str | None = None  # in answers with status 206, instead of the true one
    refuse_range: bool = False  # status 416
    status: int | None = None  # for everything
    announce: bool = True  # Content-Length
    encoding: str | None = None  # Content-Encoding, claimed and not done
    cut_after: list[int] = field(default_factory=list)  # bytes of a body, one per request
    pause: float = 0.0  # seconds before every 10,000 bytes
    silent: bool = False  # no answer until the end
    ranges: list[str | None] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._end = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.mirror = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range")
        self.ranges.append(asked)
        if self.silent:
            self._end.wait(10)
            return
        content = self.files.get(handler.path.lstrip("/"))
        status = self.status or (404 if content is None else 200)
        if status != 200 or content is None:
            self._head(handler, status, 0)
            return
        if asked and self.refuse_range:
            self._head(handler, 416, 0)
            return
        start = 0
        if asked and not self.ignore_range:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])  # type: ignore[index]
        body = content[start:]
        place = f"bytes {start}-{len(content) - 1}/{len(content)}"
        extra = {"Content-Range": self.content_range or place} if start else {}
        self._head(handler, 206 if start else 200, len(body), **extra)
        if self.cut_after:
            body = body[: self.cut_after.pop(0)]
        for first in range(0, len(body), 10_000):
            time.sleep(self.pause)
            handler.wfile.write(body[first : first + 10_000])

    def _head(
        self, handler: BaseHTTPRequestHandler, status: int, length: int, **extra: str
    ) -> None:
        handler.send_response(status)
        if self.announce:
            handler.send_header("Content-Length", str(length))
        if self.encoding:
            handler.send_header("Content-Encoding", self.encoding)
        for name, value in extra.items():
            handler.send_header(name, value)
        handler.end_headers()


class _Server(ThreadingHTTPServer):
    mirror: Mirror

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.mirror.answer(self)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep standard error for the code under test."""
