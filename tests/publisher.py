"""A local HTTP server that publishes files as archives do, and fails as they do: by script, a fault a request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import urlsplit

MODIFIED = "Wed, 01 Nov 2023 08:00:00 GMT"


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    path: str
    headers: dict[str, str]


@dataclass
class Publisher:
    """Files by path (query left out). `faults`: for a path, what answers the next requests in the place of the file."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    always: dict[str, Fault] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    etag: str | None = "strong"
    asked: list[Request] = field(default_factory=list)
    most_at_once: int = 0
    at_once: int = 0
    lock: Lock = field(default_factory=Lock)

    def of(self, path: str) -> list[Request]:
        """Requests of one path."""
        return [request for request in self.asked if request.path == path]

    def next_fault(self, path: str) -> Fault:
        with self.lock:
            scripted = self.faults.get(path)
            return scripted.pop(0) if scripted else self.always.get(path, serve)

    def validators(self, body: bytes) -> dict[str, str]:
        tag = hashlib.sha1(body).hexdigest()[:12]
        tags = {"strong": {"ETag": f'"{tag}"'}, "weak": {"ETag": f'W/"{tag}"'}}
        dated = {} if self.etag == "none" else {"Last-Modified": MODIFIED}
        return tags.get(self.etag or "", {}) | dated


class Handler(BaseHTTPRequestHandler):
    publisher: Publisher

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        publisher = self.publisher
        with publisher.lock:
            publisher.asked.append(Request(path, dict(self.headers.items())))
            publisher.at_once += 1
            publisher.most_at_once = max(publisher.most_at_once, publisher.at_once)
        try:
            publisher.next_fault(path)(self, publisher.files.get(path))
        finally:
            with publisher.lock:
                publisher.at_once -= 1

    def begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


Fault = Callable[[Handler, bytes | None], None]


def serve(handler: Handler, body: bytes | None, most: int | None = None, ranges: bool = True) -> None:
    """The file, or the rest that is asked for; of it only the first `most` bytes before the line is cut."""
    if body is None:
        return handler.send_error(404)
    known = handler.publisher.validators(body) | handler.publisher.headers
    asked = handler.headers
    if "If-None-Match" in asked:
        unchanged = asked["If-None-Match"] == known.get("ETag")
    else:
        unchanged = "If-Modified-Since" in asked and asked["If-Modified-Since"] == known.get("Last-Modified")
    if unchanged:
        return handler.begin(304, {})
    start = int(asked.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
    condition = asked.get("If-Range")
    if not ranges or (condition is not None and condition not in known.values()):
        start = 0
    if start >= len(body):
        return handler.begin(416, {"Content-Range": f"bytes */{len(body)}"})
    part = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
    handler.begin(206 if start else 200, known | part | {"Content-Length": str(len(body) - start)})
    handler.wfile.write(body[start:] if most is None else body[start : start + most])
    return None


def cut(most: int, ranges: bool = True) -> Fault:
    """Announce all, send so many bytes, close the line."""
    return lambda handler, body: serve(handler, body, most, ranges)


def whole_only(handler: Handler, body: bytes | None) -> None:
    """Ignore Range."""
    serve(handler, body, ranges=False)


def status(code: int, **headers: str) -> Fault:
    """An error page."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _: handler.begin(code, {"Content-Length": "0", **named})


def answer(body: bytes, **headers: str) -> Fault:
    """Status 200 and this body, whatever was asked."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def send(handler: Handler, _: bytes | None) -> None:
        handler.begin(200, {"Content-Length": str(len(body)), **named})
        handler.wfile.write(body)

    return send


def without_length(most: int | None = None) -> Fault:
    """As a service that computes what it sends: no length, no validator; perhaps ended early."""

    def send(handler: Handler, body: bytes | None) -> None:
        handler.begin(200, {"Connection": "close"})
        handler.wfile.write((body or b"")[:most])

    return send


def hang_up(handler: Handler, _: bytes | None) -> None:
    """Close the line without a word."""
    handler.close_connection = True


def redirect(to: str, **headers: str) -> Fault:
    return status(302, Location=to, **headers)


@contextmanager
def serving() -> Iterator[Publisher]:
    """A running server."""
    publisher = Publisher()
    running = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"publisher": publisher}))
    publisher.address = f"http://127.0.0.1:{running.server_port}"
    Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield publisher
    finally:
        running.shutdown()
        running.server_close()
