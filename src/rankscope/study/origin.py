"""Which study file a results folder belongs to: two of one name would overwrite each other's page.

origin.json     the file, the report's step as it was last planned, and the one that is published
"""

import json
import re
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadStudy
from rankscope.pipeline.planner import Plan
from rankscope.store.artifacts import Store, explained
from rankscope.store.durable import PARTIAL, synced

ORIGIN = "origin.json"
NAMED = re.compile(r"""^study:[ \t]*["']?([^"'#\n]*?)["']?[ \t]*(?:#.*)?$""", re.MULTILINE)


def check(plan: Plan, store: Store) -> str | None:
    """What a person should know of where the folder's results came from; BadStudy for another file's.

    The same path is the same file, however it was edited. So is one whose plan is the same in every
    respect. A file that is gone, or has another name by now, was moved: its results go on, which is told.
    """
    there, mine = origin(store).get("file"), plan.study.file.resolve()
    if there in {None, str(mine)} or plan.steps[-1].name in _reports(store):
        return None
    name = plan.study.study.study
    if not _is_named(Path(there), name):
        return f"{store.root}: its results are those of {there}, which is no longer there under that name; now of {mine}"
    raise BadStudy(
        f"{mine}: {store.root} holds the results of another file of the same name (`study: {name}`), {there}. "
        "Give this one another `study:` name, or another --results; if it takes the other's place, remove "
        f"{store.root / ORIGIN}."
    )


def claim(plan: Plan, store: Store) -> None:
    """Note whose results the folder has; the caller has checked, and locks."""
    _write(store, file=str(plan.study.file.resolve()), plan=plan.steps[-1].name)


def published(store: Store, report: str | None = None) -> str | None:
    """The report's step whose page people see; with `report`, note that it is this one."""
    before = origin(store).get("published")
    if report is not None:
        _write(store, published=report)
    return before


def origin(store: Store) -> dict[str, Any]:
    """What is known; {} where nothing is, or what is there is damaged: a name is asked for again at most."""
    try:
        found = json.loads((store.root / ORIGIN).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    is_whole = isinstance(found, dict) and all(isinstance(each, str) for each in found.values())
    return found if is_whole else {}


def _reports(store: Store) -> set[str | None]:
    found = origin(store)
    return {found.get("plan"), found.get("published")}


def _is_named(file: Path, name: str) -> bool:
    """Whether there is a study file of that name; one that does not say so plainly may be."""
    try:
        found = NAMED.search(file.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return found is None or found.group(1).strip() == name


def _write(store: Store, **facts: str) -> None:
    path = store.root / ORIGIN
    if facts.items() <= origin(store).items():
        return
    text = json.dumps(origin(store) | facts, indent=1, sort_keys=True) + "\n"
    with explained(path):
        aside = path.with_name(f"{PARTIAL}{ORIGIN}")
        aside.write_text(text, "utf-8")
        synced(aside)
        aside.replace(path)
