"""The entries of a JSON list, of JSON lines or of a Parquet table, each with its place in the file.

What stands in an entry of DPR's files is read here too, for teachers and for examples alike.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rankscope.core.errors import BadInput
from rankscope.core.fields import as_id, as_text, is_none, is_score, shown
from rankscope.core.formats import parquet_frame
from rankscope.core.input_files import PARQUET_MAGIC, head_of
from rankscope.core.lines import read_bytes, read_lines
from rankscope.core.plain_json import json_list, json_value


class Entry(NamedTuple):
    """One entry of a file, and its place there (file and line) for errors."""

    place: str
    value: Any

    def wrong(self, what: str, remedy: str) -> BadInput:
        """The error for an entry that is not what it should be."""
        return BadInput(f"{self.place}: {what}. {remedy}")

    def get(self, *names: str) -> Any:
        """The value of the first of the fields that has one; null and the NaN of tables are none."""
        name = self.first(*names)
        return None if name is None else self.value[name]

    def first(self, *names: str) -> str | None:
        """The name of the first of the fields that has a value."""
        return next((name for name in names if not is_none(self.value.get(name))), None)

    def listed(self, *names: str) -> list[Any]:
        """A field that is a list; empty where there is none."""
        values = self.get(*names)
        values = values.tolist() if hasattr(values, "tolist") else values
        if values is not None and not isinstance(values, list):
            raise self.wrong(f"`{self.first(*names)}` is {shown(values)}", "Give it as a list.")
        return values or []

    def name(self, what: str, *names: str) -> str | None:
        """A query's or doc's id from the fields that may hold it; a whole number becomes text.

        BadInput where two of them hold two ids.
        """
        ids = {name: self.checked_id(self.value[name], what) for name in names if self.first(name)}
        if len(set(ids.values())) > 1:
            raise self.wrong(
                f"two ids, {' and '.join(f'`{name}`: {shown(value)}' for name, value in ids.items())}",
                "Keep the one that qrels and runs have.",
            )
        return next(iter(ids.values()), None)

    def checked_id(self, value: Any, what: str) -> str:
        """The value as an id, if a run file can hold it."""
        return as_id(value.item() if hasattr(value, "item") else value, what, self.place)

    def text(self, *names: str) -> str | None:
        """A field that is text; None where there is none."""
        name = self.first(*names)
        return None if name is None else as_text(self.value[name], name, self.place)

    def number(self, value: Any) -> float:
        """A score, if it is a finite number."""
        if not is_score(value):
            raise self.wrong(
                f"the score {shown(value)} is not a finite number", "Score it again, or drop it."
            )
        return float(value)


def entries(path: Path) -> Iterator[Entry]:
    """The entries of a file, in its order; BadInput for what is neither JSON nor Parquet."""
    head = head_of(path)
    if head == PARQUET_MAGIC:
        rows = parquet_frame(path).to_dict("records")
        yield from (Entry(f"{path}, row {n}", row) for n, row in enumerate(rows, start=1))
    elif head[:1] == b"[":
        whole = _whole_list(path)
        yield from (Entry(f"{path}, entry {n}", value) for n, value in enumerate(whole, start=1))
    else:
        for number, line in read_lines(path):
            try:
                value = json_value(line, f"{path}, line {number}")
            except (ValueError, RecursionError) as error:
                raise BadInput(
                    f"{path}, line {number}: not JSON ({error}). Give one JSON object a line, or one list "
                    "of them in the whole file."
                ) from error
            yield Entry(f"{path}, line {number}", value)


def _whole_list(path: Path) -> list[Any]:
    try:
        text = read_bytes(path).removeprefix(b"\xef\xbb\xbf").decode()
        return json_list(text, str(path))
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}, line {error.lineno}: not JSON ({error.msg}). Mend it.") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not readable as UTF-8 text ({error}). Convert it.") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not readable as JSON ({error}). Mend it.") from error


def tables(path: Path) -> Iterator[Entry]:
    """The entries of a file whose entries are all tables of fields."""
    for entry in entries(path):
        if not isinstance(entry.value, dict):
            raise entry.wrong(f"found {shown(entry.value)}", "Give a JSON object with its fields.")
        yield entry


class Passage(NamedTuple):
    """A doc in an entry: an id, a text, or both."""

    doc_id: str | None
    title: str
    text: str
    """Empty where there is none."""

    @property
    def with_title(self) -> str:
        """The text with the title in front; empty where there is no text."""
        return f"{self.title} {self.text}".strip() if self.text else ""


def passages(entry: Entry, name: str) -> list[Passage]:
    """The passages listed in a field; BadInput for one with neither id nor text. A blank text is none."""
    return [_passage(entry, value) for value in entry.listed(name)]


def _passage(entry: Entry, value: Any) -> Passage:
    if not isinstance(value, dict):
        raise entry.wrong(
            f"a passage is {str(value)[:60]!r}, with no `text`",
            "Give a JSON object with its fields.",
        )
    part = Entry(entry.place, value)
    doc_id = part.name("doc", "docid", "passage_id", "psg_id", "doc_id")
    title, text = part.text("title") or "", part.text("text") or ""
    if doc_id is None and not text.strip():
        raise entry.wrong(
            "a passage has neither id nor text", "Give `docid`, `passage_id` or `text`."
        )
    return Passage(doc_id, title, text if text.strip() else "")


class DPREntry(NamedTuple):
    """An entry of DPR's training files (Karpukhin et al. 2020)."""

    question: str
    positives: list[Passage]
    negatives: list[Passage]
    are_hard: bool
    """Whether the negatives are hard ones; where there are none, they are the easy ones, of other questions."""


def dpr_entry(entry: Entry) -> DPREntry:
    """The entry as a DPR file has it; BadInput where there is no question, or a passage is none."""
    question = entry.text("question")
    if not question or not question.strip():
        raise entry.wrong("it has no `question`", "Give the text of its query.")
    positives, hard = passages(entry, "positive_ctxs"), passages(entry, "hard_negative_ctxs")
    negatives = hard or passages(entry, "negative_ctxs")
    return DPREntry(question, positives, negatives, are_hard=bool(hard))
