"""Every kind of step there is, by the rows that stand beside the plans."""

from importlib import import_module
from pkgutil import walk_packages

import rankscope
from rankscope.pipeline.step import Kind

PLANS = ("planner", "plan")
"""Modules that make steps, beside all of `first_stages`."""


def kinds() -> list[Kind]:
    """All rows."""
    names = [name for _, name, _ in walk_packages(rankscope.__path__, "rankscope.")]
    plans = [
        import_module(name)
        for name in names
        if name.rpartition(".")[2] in PLANS or ".first_stages." in name
    ]
    rows = (value for plan in plans for value in vars(plan).values() if isinstance(value, Kind))
    return list(dict.fromkeys(rows))
