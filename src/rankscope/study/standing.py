"""What must be known of results that are stored: under which versions they were made, and what is unknown."""

from collections.abc import Iterable

from rankscope.core.errors import DamagedArtifact
from rankscope.pipeline.step import Step
from rankscope.store.artifacts import Store, differing, versions


def made_under(step: Step, store: Store) -> str:
    """The packages a stored step was made under in other versions than are here; "" where none was."""
    manifest, here = store.manifest(step.name), versions()
    found = [
        differing(each, here)
        for each in (manifest.get("versions", {}), *manifest.get("begun_under", ()))
    ]
    return "; begun under ".join(dict.fromkeys(filter(None, found)))


def notes_on(steps: Iterable[Step], store: Store) -> list[str]:
    """Sentences on the stored steps among these, each with the steps it is about; nothing is void."""
    by_versions: dict[str, list[str]] = {}
    unsummed = []
    for step in steps:
        if not store.folder(step.name).exists():
            continue
        try:
            found, is_summed = made_under(step, store), "sha256" in store.manifest(step.name)
        except DamagedArtifact:
            continue  # it is told as what it is
        if found:
            by_versions.setdefault(found, []).append(f"{step.kind} {step.label}")
        if not is_summed:
            unsummed.append(f"{step.kind} {step.label}")
    notes = [
        f"made under other versions than are here, {found}, and used as stored: {', '.join(names)}"
        for found, names in by_versions.items()
    ]
    if unsummed:
        notes.append(
            "stored before manifests had sums of their own, so an edited manifest, or an input that was "
            f"made again with other bytes, would not be seen: {', '.join(unsummed)}"
        )
    return notes
