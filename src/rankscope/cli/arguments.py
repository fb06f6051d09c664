"""Arguments as people type them: NAME=RUN,RUN, MEASURE=MARGIN, groups of queries."""

import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TypedDict

from rankscope.core.errors import BadInput
from rankscope.core.fields import check_id, has_name
from rankscope.core.lines import read_lines

WORTH_A_PROCESS = 20_000_000
"""Bytes of run files above which several processes read them."""


def typed() -> str:
    """The command line as it was typed."""
    return shlex.join(["rankscope", *sys.argv[1:]])


def named_runs(arguments: Sequence[str]) -> dict[str, list[str]] | list[str]:
    """The runs of RUN ..., or system to runs for NAME=RUN ... (NAME=RUN,RUN for the seeds of one system)."""
    if not any(has_name(argument) for argument in arguments):
        return list(arguments)
    runs_of: dict[str, list[str]] = {}
    for argument in arguments:
        name, _, files = argument.partition("=")
        if not has_name(argument):
            raise BadInput(
                f"{argument}: the other runs are named. Name this one too: NAME={argument}."
            )
        if name in runs_of:
            raise BadInput(f"Two systems are called {name!r}. Join them (NAME=A,B), or rename one.")
        runs_of[name] = files.split(",")
    return runs_of


def processes(arguments: Sequence[str]) -> int:
    """The number of processes that read runs: one, unless several runs are so large that more are worth their start."""
    runs = named_runs(arguments)
    files = runs if isinstance(runs, list) else [file for seeds in runs.values() for file in seeds]
    n_bytes = sum(Path(run).stat().st_size for run in files if Path(run).is_file())
    return min(len(files), os.cpu_count() or 1) if n_bytes > WORTH_A_PROCESS else 1


def table_of_margins(arguments: Iterable[str]) -> dict[str, str]:
    """MEASURE=MARGIN ... as a table."""
    margins: dict[str, str] = {}
    for argument in arguments:
        measure, equals, margin = argument.rpartition("=")
        if not equals or not measure:
            raise BadInput(
                f"The margin {argument!r} is not of the form nDCG@10=0.02 or nDCG@10=5%."
            )
        if margins.setdefault(measure, margin) != margin:
            raise _twice("margins", measure, margins[measure], margin)
    return margins


def _twice(what: str, measure: str, first: object, second: object) -> BadInput:
    return BadInput(f"{measure} has two {what}, {first} and {second}. Keep one.")


def table_of_numbers(arguments: Iterable[str]) -> dict[str, Decimal]:
    """MEASURE=VALUE ... as a table; the values keep the digits as typed."""
    means: dict[str, Decimal] = {}
    for argument in arguments:
        measure, _, value = argument.rpartition("=")
        try:
            mean = Decimal(value)
        except InvalidOperation:
            mean = Decimal("nan")
        if not measure or not mean.is_finite():
            raise BadInput(f"The published mean {argument!r} is not of the form nDCG@10=0.7234.")
        if str(means.setdefault(measure, mean)) != str(
            mean
        ):  # 0.50 is rounded to another digit than 0.5
            raise _twice("published means", measure, means[measure], mean)
    return means


class Groups(TypedDict, total=False):
    """Keyword arguments for groups of queries; empty where there are none."""

    groups: Mapping[str, str]


def groups_in(path: Path | None) -> Groups:
    """The groups in a file; empty where there is no file."""
    return {} if path is None else {"groups": read_groups(path)}


def read_groups(path: Path) -> dict[str, str]:
    """query_id to group, from a file with these two columns."""
    groups: dict[str, str] = {}
    for number, line in read_lines(path):
        columns = line.split("\t") if "\t" in line else line.split()
        columns = [column.strip() for column in columns]
        if len(columns) != 2 or not columns[1]:
            raise BadInput(
                f"{path}, line {number}: expected 2 columns (query_id group), found {len(columns)}. Separate them by a "
                "tab or a space."
            )
        check_id(columns[0], "query", f"{path}, line {number}")
        if groups.setdefault(columns[0], columns[1]) != columns[1]:
            raise BadInput(
                f"{path}, line {number}: query {columns[0]} is in group {groups[columns[0]]!r} above and "
                f"in {columns[1]!r} here. Keep one."
            )
    return groups
