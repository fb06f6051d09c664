"""Every kind of step there is, by the rows that stand beside the plans."""

from importlib import import_module
from pkgutil import walk_packages

import rankscope
from rankscope.pipeline.step import Kind

PLAN, FOLDERS = "plan", (".plans.", ".first_stages.")
"""The name of modules that make steps, and the folders all of whose modules do."""


def kinds() -> list[Kind]:
    """All rows."""
    names = [name for _, name, _ in walk_packages(rankscope.__path__, "rankscope.")]
    plans = [
        import_module(name)
        for name in names
        if name.rpartition(".")[2] == PLAN or any(folder in name for folder in FOLDERS)
    ]
    rows = (value for plan in plans for value in vars(plan).values() if isinstance(value, Kind))
    return list(dict.fromkeys(rows))
