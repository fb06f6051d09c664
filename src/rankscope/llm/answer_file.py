"""The file of answers: JSON lines, each flushed to the disk as it comes, so that nothing paid for is asked twice.

The first line says what was asked (`{"asked": {...}, "from": {...}}`); a file that answers another question is refused. Each
line after it is one answer: `query_id`, `order` (which order of the docs, from 0), `number` (of the question, from 0),
`prompt` (a digest of its messages), `window` or `shown` (the docs that it is about), `response`, and what the server said of
itself and of the tokens. A line that a crash cut off is removed when the file is opened again; only one command may have a
file open.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self, final

from rankscope.core.errors import BadInput
from rankscope.core.visible import redacted
from rankscope.data.answers import HEAD
from rankscope.data.entries import Entry, entries
from rankscope.llm.prompts import Messages
from rankscope.store.refusals import explained

FROM = "from"
"""Where the docs and texts came from: paths, which are no part of the question."""


class Key(NamedTuple):
    """One question of one list."""

    query_id: str
    order: int
    number: int


def digest_of(messages: Messages) -> str:
    """What identifies a prompt."""
    return hashlib.sha256(json.dumps(messages).encode()).hexdigest()[:12]


class Head(NamedTuple):
    """What a file's answers are to, and where its docs came from."""

    asked: Mapping[str, Any]
    origin: Mapping[str, Any]


def head_of(path: Path) -> Head | None:
    """The first line of a file that `teacher ask` wrote; None for any other file."""
    try:
        first = next(entries(path), None)
    except BadInput:
        return None  # whoever reads its answers says what is wrong
    value = None if first is None else first.value
    if not isinstance(value, dict) or not isinstance(value.get(HEAD), dict):
        return None
    origin = value.get(FROM)
    return Head(value[HEAD], origin if isinstance(origin, dict) else {})


class StoredAnswer(NamedTuple):
    """An answer in the file."""

    key: Key
    response: str
    prompt: str
    record: Mapping[str, Any]
    place: str


def answers_in(path: Path) -> Iterator[StoredAnswer]:
    """The answers of a file that `teacher ask` wrote. BadInput for a line that is none."""
    for entry in entries(path):
        if isinstance(entry.value, dict) and HEAD not in entry.value:
            yield _answer(entry)
        elif not isinstance(entry.value, dict):
            raise entry.wrong("it is no answer", "Give the file as `teacher ask` wrote it.")


def _answer(entry: Entry) -> StoredAnswer:
    value = entry.value
    order, number, response = value.get("order"), value.get("number"), value.get("response")
    is_whole = (
        isinstance(value.get("query_id"), str)
        and type(order) is int
        and type(number) is int
        and isinstance(value.get("prompt"), str)
        and (response is None or isinstance(response, str))
    )
    if not is_whole:
        raise entry.wrong(
            "it is no answer that `teacher ask` wrote", "Restore the line, or remove it."
        )
    key = Key(value["query_id"], order, number)
    return StoredAnswer(key, response or "", value["prompt"], value, entry.place)


@final
class AnswerFile:
    """A file of answers that is being added to, and what stood in it."""

    def __init__(self, path: Path, handle: int, stored: dict[Key, StoredAnswer]) -> None:
        self.path, self.stored = path, stored
        self._handle = handle
        self.n_added = 0

    @classmethod
    def opened(cls, path: Path, head: Head) -> Self:
        """The file, begun with that head if it is new. BadInput for one that answers another question."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with explained(path, "Give another file with --out."):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadInput(
                    f"{path}: another command is adding answers to it. Wait until it has ended."
                ) from None
            _heal(handle)
            if os.fstat(handle).st_size == 0:
                _write(handle, {HEAD: dict(head.asked), FROM: dict(head.origin)})
                return cls(path, handle, {})
            _require_same(path, head.asked)
            stored: dict[Key, StoredAnswer] = {}
            for answer in answers_in(path):
                if answer.key in stored:
                    raise BadInput(
                        f"{answer.place}: the same question is answered above too. Keep one."
                    )
                stored[answer.key] = answer
            return cls(path, handle, stored)
        except BaseException:
            os.close(handle)
            raise

    def add(self, key: Key, record: Mapping[str, Any]) -> None:
        """Write an answer, and return when it is on the disk."""
        with explained(self.path, "Free some space; the answers before are kept."):
            _write(self._handle, {**key._asdict(), **record})
        self.n_added += 1

    def close(self) -> None:
        """Let other commands have the file."""
        os.close(self._handle)


def _write(handle: int, record: Mapping[str, Any]) -> None:
    line = redacted(json.dumps(_whole(record), allow_nan=False)) + "\n"
    data = line.encode()
    while data:
        data = data[os.write(handle, data) :]
    os.fsync(handle)


def _whole(value: Any) -> Any:
    """The value with halves of characters, which a server may send, replaced: no file of text can hold them."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {name: _whole(inner) for name, inner in value.items()}
    return [_whole(inner) for inner in value] if isinstance(value, list | tuple) else value


def _heal(handle: int) -> None:
    """Remove a last line that has no end: the machine stopped while it was written."""
    size = os.fstat(handle).st_size
    if size == 0 or os.pread(handle, 1, size - 1) == b"\n":
        return
    at = size
    while at > 0:
        begin = max(0, at - 65536)
        place = os.pread(handle, at - begin, begin).rfind(b"\n")
        if place >= 0:
            os.ftruncate(handle, begin + place + 1)
            return
        at = begin
    if os.pread(handle, len(HEAD) + 4, 0).startswith(f'{{"{HEAD}"'.encode()[:size]):
        os.ftruncate(handle, 0)


def _require_same(path: Path, asked: Mapping[str, Any]) -> None:
    """BadInput for a file that answers another question; what differs is told."""
    head = head_of(path)
    if head is None:
        raise BadInput(
            f"{path}: it is there, and `teacher ask` did not write it. Give another file with --out."
        )
    here = json.loads(json.dumps(asked))
    for name in {**here, **head.asked}:
        theirs, ours = head.asked.get(name), here.get(name)
        if theirs != ours:
            said = f"{name.replace('_', ' ')} {_short(theirs)} there, {_short(ours)} here"
            raise BadInput(
                f"{path}: its answers are to another question ({said}). Ask with what it was begun with, or give another file "
                "with --out."
            )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
