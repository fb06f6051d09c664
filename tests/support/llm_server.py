"""A server of OpenAI's chat interface on the loopback for tests: scripted answers, injected faults, all requests kept."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MODEL, FINGERPRINT = "scripted-2026-11", "fp_scripted"
CREATED = 1_790_000_000
"""2026-09-21, in seconds."""
Body = Mapping[str, Any]


@dataclass
class Fault:
    """What goes wrong with one request."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    """JSON, or bytes that are sent as they are."""
    cut_after: int | None = None
    """The bytes of the answer after which the connection ends."""
    waits: float = 0.0


def error(status: int, message: str, *, code: str | None = None, **headers: str) -> Fault:
    """An error as OpenAI's servers tell it."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(status, names, {"error": {"message": message, "code": code, "type": "made_up"}})


@dataclass
class LLMServer:
    """How the server answers, and what it was asked."""

    answer: Callable[[Body], str | None]
    fault: Callable[[int, Body], Fault | None] = lambda n, body: None
    """What goes wrong with the n-th request (from 0)."""
    waits: float = 0.0
    has_usage: bool = True
    address: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The body of every request."""
    heard: list[tuple[str, dict[str, str], float]] = field(default_factory=list)
    """Path, headers and time of every request."""
    n_paid: int = 0
    tokens: list[tuple[int, int]] = field(default_factory=list)
    """Tokens in and out of every answer."""
    most_at_once: int = 0
    n_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def completion(self, body: Body, text: str | None) -> dict[str, Any]:
        """An answer with what it took."""
        tokens = tokens_of(body, text)
        made: dict[str, Any] = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": CREATED,
            "model": MODEL,
            "system_fingerprint": FINGERPRINT,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "stop",
                }
            ],
        }
        if self.has_usage:
            made["usage"] = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
        return made


def tokens_of(body: Body, text: str | None) -> tuple[int, int]:
    """Tokens in and out, as this server counts them: a word is one, and each message has three more."""
    words = sum(len(message["content"].split()) + 3 for message in body["messages"])
    return words, len((text or "").split()) + 1


@contextmanager
def llm_server(
    answer: Callable[[Body], str | None], *, port: int = 0, **how: Any
) -> Iterator[LLMServer]:
    """A server for the length of the block."""
    state = LLMServer(answer, **how)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or what follows the headers waits 40 ms

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with state.lock:
                number = len(state.asked)
                state.asked.append(body)
                headers = {name.lower(): value for name, value in self.headers.items()}
                state.heard.append((self.path, headers, time.monotonic()))
                state.n_at_once += 1
                state.most_at_once = max(state.most_at_once, state.n_at_once)
            try:
                self.answered(number, body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
            finally:
                with state.lock:
                    state.n_at_once -= 1

        def answered(self, number: int, body: dict[str, Any]) -> None:
            fault = state.fault(number, body)
            if fault is None:
                time.sleep(state.waits)
                text = state.answer(body)
                with state.lock:
                    state.n_paid += 1
                    state.tokens.append(tokens_of(body, text))
                self.sent(200, json.dumps(state.completion(body, text)).encode())
                return
            time.sleep(fault.waits)
            data = fault.body
            if data is None and fault.status == 200:
                data = state.completion(body, state.answer(body))
                with state.lock:
                    state.n_paid += 1
                    state.tokens.append(tokens_of(body, state.answer(body)))
            data = data if isinstance(data, bytes) else json.dumps(data).encode()
            self.sent(fault.status, data, headers=fault.headers, cut_after=fault.cut_after)

        def sent(
            self,
            status: int,
            data: bytes,
            *,
            headers: Mapping[str, str] | None = None,
            cut_after: int | None = None,
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[:cut_after])
            if cut_after is not None:
                self.wfile.flush()
                self.connection.close()
                self.close_connection = True

        def log_message(self, *words: Any) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    state.address = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# -- what a prompt shows ---------------------------------------------------------------------------

NUMBERED = re.compile(r"^\[(\d+)\] (.*)$", re.MULTILINE)
LABELLED = re.compile(r'^Passage ([A-Z]): "(.*)"$', re.MULTILINE)
WORTH = re.compile(r"worth (\d+)")


def shown_in(body: Body) -> list[str]:
    """The passages of a prompt, in their order."""
    users = [each["content"] for each in body["messages"] if each["role"] == "user"]
    text = "\n".join(users)
    passages = LABELLED.findall(text) or NUMBERED.findall(text)
    return [passage for _, passage in passages]


def query_in(body: Body) -> str:
    """The query of a prompt that orders passages."""
    found = re.search(r"[Ss]earch [Qq]uery: (.*?)\. *\n", body["messages"][-1]["content"])
    assert found is not None
    return found[1]


def oracle(body: Body) -> str:
    """The passages by what they are `worth`, or the first of the best; equal ones as they are shown."""
    passages = shown_in(body)
    worth = [int(WORTH.search(passage)[1]) for passage in passages]  # type: ignore[index]
    order = sorted(range(len(worth)), key=lambda place: -worth[place])
    if "Passage A" in body["messages"][-1]["content"]:
        return f"Passage {chr(ord('A') + order[0])}"
    return " > ".join(f"[{place + 1}]" for place in order)


# -- batches ----------------------------------------------------------------------------------------

Spoil = Callable[[int, dict[str, Any]], dict[str, Any] | None]


def carried_out(
    requests: Path,
    results: Path,
    *,
    spoil: Spoil = lambda n, line: line,
    answer: Callable[[Body], str] = oracle,
) -> int:
    """A batch as OpenAI carries it out: results in another order; `spoil` may change or drop one. The number of requests."""
    lines = []
    state = LLMServer(answer)
    asked = [json.loads(line) for line in requests.read_text().splitlines()]
    assert len({each["custom_id"] for each in asked}) == len(asked)
    for n, request in enumerate(asked):
        assert (request["method"], request["url"]) == ("POST", "/v1/chat/completions")
        body = state.completion(request["body"], answer(request["body"]))
        line = {
            "id": f"batch_req_{n}",
            "custom_id": request["custom_id"],
            "response": {"status_code": 200, "request_id": "r", "body": body},
            "error": None,
        }
        lines.append(spoil(n, line))
    results.write_text("".join(json.dumps(line) + "\n" for line in reversed(lines) if line))
    return len(asked)
