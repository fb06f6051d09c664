"""A server on this machine that answers as the hub does where a folder is uploaded."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Hub:
    """What was written to it."""

    def __init__(self) -> None:
        self.address = ""
        self.repos: dict[str, bool] = {}
        """Repository to whether it is private."""
        self.files: dict[str, bytes] = {}
        self.objects: dict[str, bytes] = {}
        """Large files by their SHA-256."""
        self.tokens: set[str] = set()
        self.refuses: tuple[int, str] | None = None
        """The status and message with which it answers everything."""

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:  # noqa: C901 - a place each
        if self.refuses:
            return self.refuses[0], {"error": self.refuses[1]}
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self.repos[name] = bool(asked.get("private")) or asked.get("visibility") == "private"
            return 200, {"url": f"{self.address}/{name}", "id": name}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path.endswith("/preupload/main"):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for file in json.loads(body)["files"]
            ]
            return 200, {"files": files}
        if path.endswith("/info/lfs/objects/batch"):
            objects = [
                {**one, "actions": {"upload": {"href": f"{self.address}/object/{one['oid']}"}}}
                for one in json.loads(body)["objects"]
            ]
            return 200, {"transfer": "basic", "objects": objects}
        if method == "PUT" and path.startswith("/object/"):
            self.objects[path.rpartition("/")[2]] = body
            return 200, {}
        if path.endswith("/commit/main"):
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "lfsFile":
                    self.files[line["value"]["path"]] = self.objects[line["value"]["oid"]]
            return 200, {
                "success": True,
                "commitUrl": f"{self.address}/me/x/commit/{'0' * 40}",
                "commitOid": "0" * 40,
                "hookOutput": "",
            }
        return 404, {"error": f"no such place: {method} {path}"}


@contextmanager
def hub() -> Iterator[Hub]:
    """A hub that listens on this machine until the block ends."""
    there = Hub()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            there.tokens.add(self.headers.get("Authorization", ""))
            status, value = there.answer(self.command, self.path.partition("?")[0], body)
            text = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            if status >= 400:
                self.send_header("X-Error-Message", value["error"])
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = _answer

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
