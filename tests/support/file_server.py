"""A file server on the loopback for tests of downloads: it has Range and ETag, and can break off, refuse or change."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FileServer:
    """Files by path, and how the server behaves."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    breaks_after: int | None = None
    """The bytes of an answer after which the connection ends, once."""
    has_marks: bool = True
    """Whether answers have an ETag."""
    content_type: str = "application/octet-stream"
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and Range of every request."""


@contextmanager
def file_server() -> Iterator[FileServer]:
    """A server for the length of the block."""
    state = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, wanted = self.path.lstrip("/"), self.headers["Range"]
            state.asked.append((path, wanted or ""))
            data = state.files.get(path)
            if data is None:
                self.send_error(404)
                return
            mark = f'"{hash(data)}"'
            begin = 0
            if wanted and self.headers["If-Range"] == mark:
                begin = int(wanted.removeprefix("bytes=").rstrip("-"))
                if begin >= len(data):
                    self.send_error(416)
                    return
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(data) - begin))
            self.send_header("Content-Type", state.content_type)
            if state.has_marks:
                self.send_header("ETag", mark)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            rest = data[begin:]
            if state.breaks_after is not None:
                rest, state.breaks_after = rest[: state.breaks_after], None
            self.wfile.write(rest)

        def log_message(self, *words: Any) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
