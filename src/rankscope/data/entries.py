"""The entries of a JSON list, of JSON lines or of a Parquet table, each with its place in the file."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rankscope.core.errors import BadInput
from rankscope.core.formats import PARQUET_MAGIC, head_of, parquet_frame
from rankscope.core.trec import check_id, read_bytes, read_lines


class Entry(NamedTuple):
    """One entry, and what an error calls it: file and line."""

    place: str
    value: Any

    def wrong(self, found: str, remedy: str) -> BadInput:
        """The error for an entry that is not what it should be."""
        return BadInput(f"{self.place}: {found}. {remedy}")

    def get(self, *names: str) -> Any:
        """The first of the fields that is there and not null."""
        for name in names:
            if self.value.get(name) is not None:
                return self.value[name]
        return None

    def listed(self, *names: str) -> list[Any]:
        """A field that is a list; empty where there is none."""
        found = self.get(*names)
        found = found.tolist() if hasattr(found, "tolist") else found
        if found is not None and not isinstance(found, list):
            raise self.wrong(f"`{names[0]}` is {_shown(found)}", "Give it as a list.")
        return found or []

    def name(self, what: str, *names: str) -> str | None:
        """A query's or doc's id from the first of the fields that is there; numbers become text."""
        found = self.get(*names)
        return None if found is None else self.checked_id(found, what)

    def checked_id(self, value: Any, what: str) -> str:
        """The value as an id, if a run file can hold it."""
        value = value.item() if hasattr(value, "item") else value
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return check_id(str(value) if is_number else value, what, self.place)

    def text(self, *names: str) -> str | None:
        """A field that is text."""
        found = self.get(*names)
        if found is not None and not isinstance(found, str):
            raise self.wrong(f"`{names[0]}` is {_shown(found)}", "Give it as text.")
        return found

    def number(self, value: Any) -> float:
        """A score, if it is a finite number."""
        try:
            score = math.nan if isinstance(value, str | bytes | bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            score = math.nan
        if not math.isfinite(score):
            raise self.wrong(
                f"the score {_shown(value)} is not a finite number", "Score it again, or drop it."
            )
        return score


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
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BadInput(
                    f"{path}, line {number}: not JSON ({error}). Give one JSON object a line, or one list "
                    "of them in the whole file."
                ) from error
            yield Entry(f"{path}, line {number}", value)


def _whole_list(path: Path) -> list[Any]:
    try:
        found = json.loads(read_bytes(path).removeprefix(b"\xef\xbb\xbf"))
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}, line {error.lineno}: not JSON ({error.msg}). Mend it.") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not readable as JSON ({error}). Mend it.") from error
    assert isinstance(found, list), "JSON that begins with a bracket is a list"
    return found


def tables(path: Path) -> Iterator[Entry]:
    """The entries of a file whose entries are all tables of fields."""
    for entry in entries(path):
        if not isinstance(entry.value, dict):
            raise entry.wrong(f"found {_shown(entry.value)}", "Give a JSON object with its fields.")
        yield entry


def _shown(value: Any) -> str:
    """A value as an error shows it, cut short."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
