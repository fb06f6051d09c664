"""The entries of a JSON list, of JSON lines or of a Parquet table, each with its place in the file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rankscope.core.errors import BadInput
from rankscope.core.fields import as_id, as_text, is_none, is_score, shown
from rankscope.core.formats import parquet_frame
from rankscope.core.packed import PARQUET_MAGIC, head_of
from rankscope.core.plain_json import json_list, json_value
from rankscope.core.trec import read_bytes, read_lines


class Entry(NamedTuple):
    """One entry, and what an error calls it: file and line."""

    place: str
    value: Any

    def wrong(self, found: str, remedy: str) -> BadInput:
        """The error for an entry that is not what it should be."""
        return BadInput(f"{self.place}: {found}. {remedy}")

    def get(self, *names: str) -> Any:
        """The first of the fields that is there: neither null nor the NaN that tables have for it."""
        found = self.first(*names)
        return None if found is None else self.value[found]

    def first(self, *names: str) -> str | None:
        """The name of that field."""
        return next((name for name in names if not is_none(self.value.get(name))), None)

    def listed(self, *names: str) -> list[Any]:
        """A field that is a list; empty where there is none."""
        found = self.get(*names)
        found = found.tolist() if hasattr(found, "tolist") else found
        if found is not None and not isinstance(found, list):
            raise self.wrong(f"`{self.first(*names)}` is {shown(found)}", "Give it as a list.")
        return found or []

    def name(self, what: str, *names: str) -> str | None:
        """A query's or doc's id from the first of the fields that is there; a whole number becomes text."""
        found = self.get(*names)
        return None if found is None else self.checked_id(found, what)

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
