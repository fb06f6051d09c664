"""The table of defaults that names of steps leave out, as the code has it and as it is stored."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rankscope.pipeline.identity import defaults
from rankscope.pipeline.step import Kind
from support.kinds import kinds

TABLE = Path(__file__).with_name("defaults.json")
Table = Mapping[str, Mapping[str, Any]]
"""Kind -> its version, and its defaults by `Class.field`."""


def table(of: Iterable[Kind] | None = None) -> Table:
    """That of the code, or of some kinds."""
    rows = {
        kind.name: {"version": kind.version, "defaults": defaults(kind.params, kind.name)}
        for kind in of or kinds()
    }
    read: Table = json.loads(json.dumps(rows))
    return read


def stored() -> Table:
    """That of the file."""
    read: Table = json.loads(TABLE.read_text("utf-8"))
    return read


def write() -> None:
    """Put the code's in the place of the stored one."""
    TABLE.write_text(json.dumps(table(), indent=1, sort_keys=True) + "\n", "utf-8")


def unraised(before: Table, now: Table) -> Iterator[str]:
    """A sentence for every default that changed while the version of its kind stayed as it was."""
    for kind, row in now.items():
        old = before.get(kind, {"version": None, "defaults": {}})
        for name in row["defaults"].keys() & old["defaults"].keys():
            was, is_now = old["defaults"][name], row["defaults"][name]
            if was != is_now and row["version"] == old["version"]:
                yield (
                    f"{name} has the default {is_now!r} in place of {was!r}, so stored steps of the kind {kind!r} "
                    f"would be taken for others. Raise its version from {row['version']} to {row['version'] + 1}."
                )
