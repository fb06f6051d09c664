"""The origin of stored results: the study file that a folder belongs to, and the versions that made its steps.

Two study files of one name would overwrite each other's page.

origin.json     the file, the report's step as it was last planned, and the one that is published
"""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadStudy, DamagedArtifact
from rankscope.core.input_files import regular_text
from rankscope.pipeline.planner import Plan
from rankscope.pipeline.step import Step
from rankscope.store.artifacts import Store, differing, versions
from rankscope.store.durable import PARTIAL, remove, synced
from rankscope.store.refusals import explained

ORIGIN = "origin.json"
NAMED = re.compile(r"""^study:[ \t]*["']?([^"'#\n]*?)["']?[ \t]*(?:#.*)?$""", re.MULTILINE)


def check(plan: Plan, store: Store) -> str | None:
    """A note if the file of the folder's results was moved or is not known; BadStudy where they are another file's.

    The same path is the same file, however it was edited. So is one whose plan is the same in every
    respect. A file that is gone, or whose study has another name now, was moved: its results are kept.
    """
    there, mine = origin(store).get("file"), plan.study.file.resolve()
    if there is None and os.path.lexists(store.root / ORIGIN):
        return (
            f"{store.root / ORIGIN}: not what was written, so whether its results are another file's is not known; "
            f"`run` and `report` take them for those of {mine}"
        )
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
    """Record the study file whose results the folder has; the caller has checked, and locks."""
    _write(store, file=str(plan.study.file.resolve()), plan=plan.steps[-1].name)


def published(store: Store, report: str | None = None) -> str | None:
    """The report's step whose page is published; with `report`, record this one."""
    before = origin(store).get("published")
    if report is not None:
        _write(store, published=report)
    return before


def origin(store: Store) -> dict[str, Any]:
    """The record of the origin; {} where it is missing or damaged, which `check` tells."""
    try:
        record = json.loads(regular_text(store.root / ORIGIN))
    except (OSError, ValueError, RecursionError):
        return {}
    is_whole = isinstance(record, dict) and all(isinstance(value, str) for value in record.values())
    return record if is_whole else {}


def _reports(store: Store) -> set[str | None]:
    record = origin(store)
    return {record.get("plan"), record.get("published")}


def _is_named(file: Path, name: str) -> bool:
    """Whether a file is a study file of that name; a file without a plain `study:` line may be one."""
    try:
        match = NAMED.search(regular_text(file).replace("\r\n", "\n"))
    except (OSError, ValueError):
        return False
    return match is None or match.group(1).strip() == name


def _write(store: Store, **facts: str) -> None:
    path = store.root / ORIGIN
    if facts.items() <= origin(store).items():
        return
    text = json.dumps(origin(store) | facts, indent=1, sort_keys=True) + "\n"
    with explained(path):
        aside = path.with_name(f"{PARTIAL}{ORIGIN}")
        remove(aside)
        aside.write_text(text, "utf-8")
        synced(aside)
        aside.replace(path)


# -- versions -------------------------------------------------------------------------------------


def made_under(step: Step, store: Store) -> str:
    """The packages a stored step was made under in other versions than are here; "" where none was."""
    manifest, here = store.manifest(step.name), versions()
    changes = [
        differing(before, here)
        for before in (manifest.get("versions", {}), *manifest.get("begun_under", ()))
    ]
    return "; begun under ".join(dict.fromkeys(filter(None, changes)))


def notes_on(steps: Iterable[Step], store: Store) -> list[str]:
    """Sentences on the stored steps among these, each with the steps it is about; nothing is void."""
    by_versions: dict[str, list[str]] = {}
    unsummed = []
    for step in steps:
        if not os.path.lexists(store.folder(step.name)):
            continue
        try:
            changes, is_summed = made_under(step, store), "sha256" in store.manifest(step.name)
        except DamagedArtifact:
            continue  # its status is damaged
        if changes:
            by_versions.setdefault(changes, []).append(f"{step.kind} {step.label}")
        if not is_summed:
            unsummed.append(f"{step.kind} {step.label}")
    notes = [
        f"made under other versions than are here, {changes}, and used as stored: {', '.join(names)}"
        for changes, names in by_versions.items()
    ]
    if unsummed:
        notes.append(
            "stored before manifests had sums of their own, so an edited manifest, or an input that was "
            f"made again with other bytes, would not be seen: {', '.join(unsummed)}"
        )
    return notes
