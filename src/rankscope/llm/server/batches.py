"""Requests and answers as files, in the form of OpenAI's batch interface, which other servers have too.

A batch is one round: every question that may be asked now, of every list. The next round is known when its answers are
there. `custom_id` names the question, so results may come in any order, in several files, or with some of them failed.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from rankscope.core.errors import BadInput
from rankscope.core.visible import redacted
from rankscope.data.entries import Entry, tables
from rankscope.llm.answer_file import Key, StoredAnswer
from rankscope.llm.job import Job, Request
from rankscope.llm.server.client import Completion, Sent, body_of, completion_of

URL = "/v1/chat/completions"
MOST = 50_000
"""Requests of one batch, at most, where OpenAI carries it out."""
PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,40}")


def id_of(key: Key) -> str:
    """A `custom_id`: the query's id, or a digest of one that is long or has other characters; the order and the number."""
    name = key.query_id
    if not PLAIN.fullmatch(name):
        name = hashlib.sha256(name.encode()).hexdigest()[:24]
    return f"{name}.{key.order}.{key.number}"


def waiting(job: Job, stored: Mapping[Key, StoredAnswer]) -> Iterator[Request]:
    """Every question that may be asked now."""
    for course in job.courses(stored):
        for key, question in course.pending().items():
            yield job.request(key, question)


def line_of(request: Request, sent: Sent) -> str:
    """A request as a line of a batch."""
    body = body_of(sent, request.messages)
    line = {"custom_id": id_of(request.key), "method": "POST", "url": URL, "body": body}
    return redacted(json.dumps(line)) + "\n"


class BatchResult(NamedTuple):
    """One line of the results: an answer, or why there is none."""

    custom_id: str
    completion: Completion | None
    why: str = ""


def outcomes(path: Path) -> Iterator[BatchResult]:
    """The results in a file. BadInput for a line that is none."""
    for entry in tables(path):
        yield _outcome(entry)


def _outcome(entry: Entry) -> BatchResult:
    custom_id = entry.value.get("custom_id")
    if not isinstance(custom_id, str):
        raise entry.wrong(
            "it has no `custom_id`", "Give the results of a batch, as the server wrote them."
        )
    response, error = entry.value.get("response"), entry.value.get("error")
    body = response.get("body") if isinstance(response, dict) else None
    now = datetime.now(UTC).isoformat(timespec="seconds")
    code = response.get("status_code", 200) if isinstance(response, dict) else None
    answer = completion_of(body, now) if code == 200 and not error else None
    if answer is not None:
        return BatchResult(custom_id, answer)
    inner = body.get("error") if isinstance(body, dict) else None
    return BatchResult(
        custom_id, None, f"code {code}: {_said(inner) or _said(error) or 'no answer'}"
    )


def _said(error: Any) -> str:
    """The message of an error."""
    words = error.get("message") if isinstance(error, dict) else error
    return redacted(" ".join(str(words).split()))[:200] if words else ""


def require_apart(answers: Path, requests: Path) -> None:
    """BadInput where the requests would be written over the answers."""
    if requests.resolve() == answers.resolve():
        raise BadInput(
            f"{requests}: the answers are in that file. Give another one with --requests."
        )
