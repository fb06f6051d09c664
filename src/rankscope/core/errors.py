"""Every error raised on purpose, and `choose`, which explains unknown names.

    RankscopeError              catch this one to catch ours and nothing else
    ├── UnknownChoice           a name that is in no table
    ├── BadStudy                a study file that cannot be carried out as it stands
    ├── BadInput                a collection, run, qrels file or model that cannot be used
    ├── DamagedArtifact         a stored file is not what was written
    ├── MissingArtifact         a stored result that is needed is not there
    ├── NotWritable             the disk or folder refuses
    ├── AskingStopped           an LLM's lists are not done; the answers that came are kept
    ├── EmptyBatch              nothing to learn from
    └── TrainingStopped         a guard saw that the training had silently gone wrong

Every message names the place, the mistake and the remedy.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from rankscope.core.visible import brief, with_short_words

T = TypeVar("T")


class RankscopeError(Exception):
    """The root of every error raised on purpose; the command line prints it as one line.

    Names of more than 255 characters are shortened in its message (`visible.with_short_words`).

    >>> try:
    ...     rs.read_run("absent.run")
    ... except rs.RankscopeError as error:
    ...     print(error)
    absent.run: there is no such file. Give the path of one that exists.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(with_short_words(arg) if isinstance(arg, str) else arg for arg in args))


class UnknownChoice(RankscopeError):
    """A name that is in no table."""


class BadStudy(RankscopeError):
    """A study file that cannot be carried out as it stands: `BadStudy(line, ...)`, one for each mistake."""

    def __str__(self) -> str:
        return "\n".join(self.args)


class BadInput(RankscopeError):
    """A collection, run, qrels file or model that cannot be used."""


class DamagedArtifact(RankscopeError):
    """A stored file is not what was written."""


class MissingArtifact(RankscopeError):
    """A stored result that is needed is not there."""


class NotWritable(RankscopeError):
    """The disk or folder refuses to be written."""


class AskingStopped(RankscopeError):
    """An LLM's lists are not done; the answers that came are kept."""


class EmptyBatch(RankscopeError):
    """Nothing to learn from."""


class TrainingStopped(RankscopeError):
    """A guard saw that the training had silently gone wrong."""


LISTED = 30
"""Names in one message, at most."""


def listed(names: Iterable[str]) -> str:
    """The names, the first of very many; "none" where there is none."""
    all_names = list(names)
    more = f" and {len(all_names) - LISTED:,} more" if len(all_names) > LISTED else ""
    return ", ".join(all_names[:LISTED]) + more if all_names else "none"


def choose(
    table: Mapping[str, T], name: str, *, what: str, elsewhere: Mapping[str, str] | None = None
) -> T:
    """The entry called `name`, or an error that lists what there is.

    `elsewhere`: what other tools call the entries, in lower case without signs, to their names here.
    """
    if not isinstance(name, str):
        raise UnknownChoice(
            f"The {what} is {brief(repr(name))}, and not text. There are: {listed(sorted(table))}."
        )
    if name in table:
        return table[name]
    plain = "".join(filter(str.isalnum, name[:100])).lower()
    meant = (elsewhere or {}).get(plain)
    near = [meant] if meant else difflib.get_close_matches(name, table, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UnknownChoice(f"Unknown {what} {brief(name)}.{hint} There are: {listed(sorted(table))}.")
