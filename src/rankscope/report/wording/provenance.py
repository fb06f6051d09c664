"""When, where and by what a page's numbers were made, and how to cite the tool."""

from collections.abc import Iterable, Sequence
from importlib.metadata import metadata, version

from rankscope.core.words import counted
from rankscope.report.stored import StoredResults, StoredStep

TITLE = "rankscope"


def provenance(results: StoredResults) -> list[tuple[str, str]]:
    """Date, processor, threads, device and command, as far as they are known; several values where steps differ."""
    steps = [step for step in results.steps if step.made]
    facts = [
        ("Made on", _span([str(step.made["date"])[:10] for step in steps])),
        ("Processor", _each(step.made["processor"] for step in steps)),
        ("Threads", _each(step.made["threads"] for step in steps)),
        ("Device", _devices(steps)),
        ("Energy", _energy(steps)),
        ("Command", results.command),
    ]
    return [(name, text) for name, text in facts if text]


def citation() -> str:
    """The tool as a BibTeX entry; it says what CITATION.cff says."""
    author = metadata("rankscope")["Author"]
    return (
        "@software{rankscope,\n"
        f"  title = {{{TITLE}}},\n  author = {{{{{author}}}}},\n"
        f"  version = {{{version('rankscope')}}}\n}}"
    )


def _devices(steps: Sequence[StoredStep]) -> str:
    trained = [step for step in steps if step.kind in {"train", "rerank"}]
    return _each(step.made["device"] for step in trained or steps)


def _energy(steps: Sequence[StoredStep]) -> str:
    """The sum over the steps whose energy was measured; empty where none was."""
    metered = [step for step in steps if "kwh" in step.made]
    if not metered:
        return ""
    some = (
        "" if len(metered) == len(steps) else f" in {len(metered)} of {counted(len(steps), 'step')}"
    )
    return f"{sum(step.made['kwh'] for step in metered):.3g} kWh{some} ({_each(step.made['energy_by'] for step in metered)})"


def _span(dates: Sequence[str]) -> str:
    ends = sorted({min(dates), max(dates)}) if dates else []
    return " to ".join(ends)


def _each(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))
