"""Formats of numbers, intervals and texts on the page, in LaTeX and in sentences."""

import re
from collections.abc import Iterable, Sequence
from itertools import product
from math import isfinite
from string import ascii_lowercase

NO_INTERVAL = "no interval"
NUMBER = re.compile(r"[<+\u2212-]?\d")


def signed(number: float, digits: int = 3) -> str:
    """A difference with its sign, as a true minus; zero has no sign."""
    text = f"{number:+.{digits}f}"
    if float(text) == 0:
        return text[1:]
    return text.replace("-", "\u2212")


def between(interval: Sequence[float | None], digits: int = 3) -> str:
    """Both ends of an interval; "no interval" where an end is missing."""
    low, high = interval
    if low is None or high is None or not isfinite(high - low):
        return NO_INTERVAL
    return f"{signed(low, digits)} to {signed(high, digits)}"


def with_ends(name: str, interval: Sequence[float | None]) -> str:
    """The name of an interval and its ends; "no interval" where an end is missing."""
    ends = between(interval)
    return ends if ends == NO_INTERVAL else f"{name} {ends}"


def has_numbers(rows: Sequence[Sequence[str]], column: int) -> bool:
    """Whether any row of a table has a number in a column; such columns are aligned on the right."""
    return any(NUMBER.match(row[column]) for row in rows)


def p_text(p_value: float | None) -> str:
    """A p-value to three digits; a dash where nothing was tested."""
    if p_value is None:
        return "\u2013"
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def n_queries(count: int) -> str:
    """A number of queries in words."""
    return "1 query" if count == 1 else f"{count} queries"


def n_seeds(count: int) -> str:
    """A number of seeds in words."""
    return "1 seed" if count == 1 else f"{count} seeds"


def letters() -> Iterable[str]:
    """Letters for systems and baselines in tables: a to z, then aa, ab and so on."""
    yield from ascii_lowercase
    yield from ("".join(pair) for pair in product(ascii_lowercase, repeat=2))


def clipped(text: str, length: int) -> str:
    """The text on one line, cut after a word where it is too long."""
    line = " ".join(text.split())
    if len(line) <= length:
        return line
    return line[: length - 1].rsplit(" ", 1)[0] + " …"
