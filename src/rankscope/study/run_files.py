"""Measure, compare, reproduce and convert run files without a study file."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rankscope.core import plain_yaml
from rankscope.core.errors import BadInput
from rankscope.core.fields import check_id
from rankscope.core.formats import read_run_file
from rankscope.core.records import Qrel, Run
from rankscope.core.trec import read_lines, write_run
from rankscope.data.collections import (
    IrDataset,
    LocalFiles,
    Source,
    StoredDocs,
    beir_folder,
    write_docs,
)
from rankscope.data.conventions import Convention, convention
from rankscope.evaluate import reproduction, seeds
from rankscope.evaluate.comparison import Values
from rankscope.evaluate.evaluation import (
    Compared,
    EvaluatedRun,
    Evaluation,
    as_margin,
    evaluated,
    judgements,
    without_own_docs,
)
from rankscope.evaluate.measures import Measuring, with_relevance_level
from rankscope.report.sections import StoredResults, interval_name
from rankscope.store.artifacts import versions
from rankscope.store.files import writable, written_whole

WORTH_A_PROCESS = 20_000_000
"""Bytes of run files above which several processes read them."""

SHOWN_DOCS = 1000
"""So deep rankings are kept for the page."""


@dataclass(frozen=True)
class Judgements:
    """Judgements, where they come from, and what may be known of their queries and docs."""

    name: str
    qrels: list[Qrel]
    convention: Convention
    source: Source | None = None

    def read_as(self, *, relevance_level: int | None, drop_own_docs: bool) -> "Judgements":
        """The same, with what the user asked in the place of the convention."""
        return replace(self, convention=Convention(relevance_level or 1, drop_own_docs))

    def queries(self) -> dict[str, str]:
        """query_id to text, where the source has texts."""
        judged = {qrel.query_id for qrel in self.qrels}
        found = () if self.source is None else self.source.queries()
        return {query.query_id: query.text for query in found if query.query_id in judged}


def judged(written: str, split: str) -> Judgements:
    """Judgements from a file, a folder in BEIR layout, or an ir_datasets id."""
    path = Path(written).expanduser()
    if path.is_dir():
        source = beir_folder(path, split)
        return Judgements(f"{path.resolve().name}/{split}", source.qrels(), Convention(), source)
    if path.is_file() or path.suffix or written.startswith((".", "/", "~")):
        return Judgements(path.name, judgements(path), Convention())
    dataset = IrDataset(written)
    return Judgements(written, dataset.qrels(), convention(written), dataset)


def named_runs(arguments: Sequence[str]) -> dict[str, list[str]] | list[str]:
    """RUN ..., or NAME=RUN (NAME=RUN,RUN for the seeds of one system) where a name is wanted."""
    if not any(has_name(argument) for argument in arguments):
        return list(arguments)
    found: dict[str, list[str]] = {}
    for argument in arguments:
        name, _, files = argument.partition("=")
        if not has_name(argument):
            raise BadInput(
                f"{argument}: the other runs are named. Name this one too: NAME={argument}."
            )
        if name in found:
            raise BadInput(f"Two systems are called {name!r}. Join them (NAME=A,B), or rename one.")
        found[name] = files.split(",")
    return found


def has_name(argument: str) -> bool:
    """Whether an argument is NAME=PATH; a path may have equals signs of its own."""
    name, equals, _ = argument.partition("=")
    return bool(equals and name) and "/" not in name and not Path(argument).exists()


def processes(arguments: Sequence[str]) -> int:
    """How many to read runs with: one, unless several are so large that starting more is worth it."""
    named = named_runs(arguments)
    files = named if isinstance(named, list) else [run for runs in named.values() for run in runs]
    n_bytes = sum(Path(run).stat().st_size for run in files if Path(run).is_file())
    return min(len(files), os.cpu_count() or 1) if n_bytes > WORTH_A_PROCESS else 1


def table_of_margins(arguments: Iterable[str]) -> dict[str, str]:
    """MEASURE=MARGIN ... as a table."""
    found: dict[str, str] = {}
    for argument in arguments:
        measure, equals, margin = argument.rpartition("=")
        if not equals or not measure:
            raise BadInput(
                f"The margin {argument!r} is not of the form nDCG@10=0.02 or nDCG@10=5%."
            )
        if found.setdefault(measure, margin) != margin:
            raise _twice("margins", measure, found[measure], margin)
    return found


def _twice(what: str, measure: str, first: object, second: object) -> BadInput:
    return BadInput(f"{measure} has two {what}, {first} and {second}. Keep one.")


def table_of_numbers(arguments: Iterable[str]) -> dict[str, Decimal]:
    """MEASURE=VALUE ... as a table; the values keep the digits they were written with."""
    found: dict[str, Decimal] = {}
    for argument in arguments:
        measure, _, value = argument.rpartition("=")
        try:
            mean = Decimal(value)
        except InvalidOperation:
            mean = Decimal("nan")
        if not measure or not mean.is_finite():
            raise BadInput(f"The published mean {argument!r} is not of the form nDCG@10=0.7234.")
        if str(found.setdefault(measure, mean)) != str(
            mean
        ):  # 0.50 has been rounded otherwise than 0.5
            raise _twice("published means", measure, found[measure], mean)
    return found


def read_groups(path: Path) -> dict[str, str]:
    """query_id and group, two columns a line."""
    groups: dict[str, str] = {}
    for number, line in read_lines(path):
        columns = line.split("\t") if "\t" in line else line.split()
        columns = [column.strip() for column in columns]
        if len(columns) != 2 or not columns[1]:
            raise BadInput(
                f"{path}, line {number}: expected 2 columns (query_id group), found {len(columns)}. Part them by a "
                "tab or a space."
            )
        check_id(columns[0], "query", f"{path}, line {number}")
        if groups.setdefault(columns[0], columns[1]) != columns[1]:
            raise BadInput(
                f"{path}, line {number}: query {columns[0]} is in group {groups[columns[0]]!r} above and "
                f"in {columns[1]!r} here. Keep one."
            )
    return groups


# -- as JSON and as a page -------------------------------------------------------------------------


def as_json(found: Evaluation, compared: Compared | None = None) -> dict[str, Any]:
    """Runs with means and per-query values, and comparisons; plain values only."""
    terms = (
        None
        if compared is None
        else {
            "significance_level": compared.significance_level,
            "correction": compared.correction,
            "family_size": compared.family_size,
            "baselines": list(compared.baselines),
            "intervals": interval_name(compared.significance_level, compared.correction).replace(
                "\u00a0", " "
            ),
        }
    )
    return {
        "n_queries": found.n_queries,
        "measures": list(found.measures),
        "terms": terms,
        "notes": [*found.notes, *(compared.notes if compared else ())],
        "runs": [_run_as_json(run) for run in found.runs],
        "comparisons": [row.plain() for row in compared.rows] if compared else [],
        "seeds": {
            system: {measure: dict(vars(split)) for measure, split in of_system.items()}
            for system, of_system in (compared.seeds if compared else {}).items()
        },
    }


def _run_as_json(run: EvaluatedRun) -> dict[str, Any]:
    values = run.measured.values
    query_ids = next(iter(values.values()), {})
    return {
        "tag": run.tag,
        "system": run.system,
        "path": run.path,
        "means": run.measured.means(),
        "missing_queries": list(run.measured.missing_queries),
        "unjudged_queries": list(run.measured.unjudged_queries),
        "ties": None if run.ties is None else dict(vars(run.ties)),
        "notes": list(run.notes),
        "per_query": {
            query_id: {measure: values[measure][query_id] for measure in values}
            for query_id in query_ids
        },
    }


def stored_results(
    compared: Compared, of: Judgements, *, command: str, first_stage: str | None, folder: Path
) -> StoredResults:
    """What the report's page needs. `folder` keeps the docs' texts while the page is made.

    Of a system with several seeds the first run's rankings are shown.
    """
    found = compared.evaluation
    systems = found.systems()
    stage = first_stage or ""
    place = {"collection": of.name, "first_stage": stage}
    means, values = found.means(), found.values()
    files = [runs[0].path for runs in systems.values()]
    run_of = {
        name: runs[0].path if runs[0].path and files.count(runs[0].path) == 1 else name
        for name, runs in systems.items()
    }  # two systems may share a file: then each goes by its name
    names = list(systems)
    is_all_pairs = set(compared.baselines) == set(names)
    return StoredResults(
        study=f"{len(systems)} systems on {of.name}",
        study_file=command,
        seed=None,
        steps=[],
        versions=versions(),
        evaluation={
            "notes": [f"{note.rstrip('.')}." for note in compared.notes],
            "measures": list(found.measures),
            "significance_level": compared.significance_level,
            "correction": compared.correction,
            "tests": compared.tests,
            "family_size": compared.family_size,
            "margin": {
                row.measure: str(margin) if margin.is_relative else margin.value
                for row in compared.rows
                if (margin := row.judged.comparison.margin)
            },
            "baselines": names[:1] if is_all_pairs else list(compared.baselines),
            "all_pairs": is_all_pairs,
            "remarks": [*found.notes, *seed_notes(compared), *_remarks(found)],
            "relevance_levels": {of.name: of.convention.relevance_level},
            "results": [
                place
                | {
                    "system": name,
                    "run": run_of[name],
                    "n_queries": found.n_queries,
                    "missing_queries": [],
                    "tied_share": 0.0,
                    "means": means[name],
                    **_seeds(found, name),
                }
                for name in systems
            ],
            "comparisons": [place | row.plain() for row in compared.rows],
        },
        per_query={
            run_of[name]: {
                measure: seeds.mean_values(values[name, measure]) for measure in found.measures
            }
            for name in systems
        },
        training={},
        queries={of.name: of.queries()},
        rankings=_rankings({run_of[n]: runs[0] for n, runs in systems.items()}, of, folder),
    )


def seed_notes(compared: Compared) -> list[str]:
    """What the training seeds are worth, a line for each system that has several."""
    return [
        seeds.in_words(system, measure, split)
        for system, of_system in compared.seeds.items()
        for measure, split in of_system.items()
    ]


def _remarks(found: Evaluation) -> Iterable[str]:
    return (f"{run.tag}: {note}." for run in found.runs for note in run.notes)


def _seeds(found: Evaluation, system: str) -> dict[str, Any]:
    """What a result says of several seeds: each one's run, and their spread."""
    runs = found.systems()[system]
    if len(runs) == 1:
        return {}
    return {
        "seed_sd": found.seed_sds()[system],
        "runs": [
            {"name": run.tag, "run": run.path or run.tag, "means": run.measured.means()}
            | {"missing_queries": [], "tied_share": 0.0}
            for run in runs
        ],
    }


def _rankings(
    runs: Mapping[str, EvaluatedRun], of: Judgements, folder: Path
) -> Callable[[str, str, int], Sequence[Mapping[str, Any]]]:
    relevance = {(qrel.query_id, qrel.doc_id): qrel.relevance for qrel in of.qrels}

    @cache
    def ranked(name: str) -> Run:
        path = runs[name].path
        run = Run("", {}) if path is None else read_run_file(Path(path)).run
        return without_own_docs(run) if of.convention.drop_own_docs else run

    @cache
    def stored() -> StoredDocs | None:
        if not isinstance(of.source, LocalFiles):
            return None
        needed = {
            doc.doc_id
            for name in runs
            for ranking in ranked(name).rankings.values()
            for doc in ranking[:SHOWN_DOCS]
        }
        write_docs((doc for doc in of.source.docs() if doc.doc_id in needed), folder)
        return StoredDocs(folder)

    def text(doc_id: str) -> str:
        docs = stored()
        return docs.text(doc_id) if docs is not None and doc_id in docs else doc_id

    def rankings(name: str, query_id: str, depth: int) -> Sequence[Mapping[str, Any]]:
        return [
            {
                "rank": rank,
                "doc_id": doc.doc_id,
                "score": doc.score,
                "text": text(doc.doc_id),
                "relevance": relevance.get((query_id, doc.doc_id)),
            }
            for rank, doc in enumerate(ranked(name).rankings.get(query_id, [])[:depth], start=1)
        ]

    return rankings


def page_of_means(found: Evaluation, of: Judgements, *, command: str) -> str:
    """An evaluation without comparisons as one self-contained HTML page."""
    nothing = Compared(found, (), 0.05, "holm", 0, (), {}, ())
    return page(nothing, of, command=command, first_stage=None)


def comparisons_csv(compared: Compared, of: Judgements) -> str:
    """The comparisons as the report's CSV table."""
    from rankscope.report import page as pages

    with TemporaryDirectory() as folder:
        stored = stored_results(compared, of, command="", first_stage=None, folder=Path(folder))
        return pages.comparisons_csv(stored)


def latex(compared: Compared, of: Judgements) -> str:
    """The report's two LaTeX tables, means and comparisons."""
    from rankscope.report import page as pages

    with TemporaryDirectory() as folder:
        stored = stored_results(compared, of, command="", first_stage=None, folder=Path(folder))
        return pages.means_tex(stored) + "\n" + pages.comparisons_tex(stored)


def page(compared: Compared, of: Judgements, *, command: str, first_stage: str | None) -> str:
    """The comparison as one self-contained HTML page."""
    from rankscope.report.page import html

    with TemporaryDirectory() as folder:
        stored = stored_results(
            compared, of, command=command, first_stage=first_stage, folder=Path(folder)
        )
        return html(stored)


# -- reproduce and convert -------------------------------------------------------------------------


@dataclass(frozen=True)
class Reproduced:
    """A run against its original and against published numbers."""

    order: reproduction.OrderAgreement | None
    values: Mapping[str, reproduction.ValueAgreement]
    effects: Mapping[str, reproduction.EffectAgreement]
    published: Mapping[str, reproduction.PublishedNumber]
    notes: tuple[str, ...]
    """What a reader of the numbers should know, of each run."""


@dataclass(frozen=True)
class Published:
    """Published means, by measure, and the differences that are held to matter."""

    means: Mapping[str, Decimal] = field(default_factory=dict)
    margins: Mapping[str, str] = field(default_factory=dict)


def reproduce(
    runs: Sequence[Path],
    of: Judgements,
    measures: Sequence[str],
    *,
    original: Path | None = None,
    baselines: tuple[Path, Path] | None = None,
    published: Published = Published(),
    depth: int = 100,
) -> Reproduced:
    """How far a run reproduces another's rankings, values and gain, or published means on the same queries.

    `baselines` are this study's and the original's run of the baseline. Several runs are those of one
    system's training seeds, and are held against published means alone.
    """
    _check_reproduction(runs, original, baselines, published)
    told, relevance_level = published.means, of.convention.relevance_level
    notes: list[str] = []
    names = list(
        dict.fromkeys(with_relevance_level(name, relevance_level) for name in (*measures, *told))
    )
    measuring = Measuring(of.qrels, names)

    def read(path: Path) -> tuple[Run, Mapping[str, Values]]:
        whole = read_run_file(path).run
        done = evaluated(path.name, path, measuring, drop_own_docs=of.convention.drop_own_docs)
        notes.extend(f"{path}: {note}" for note in done.notes)
        return without_own_docs(
            whole
        ) if of.convention.drop_own_docs else whole, done.measured.values

    (ours, found), *others = [read(run) for run in runs]
    theirs, original_values = (None, {}) if original is None else read(original)
    effects = {}
    if baselines:
        base, original_base = (read(path)[1] for path in baselines)
        effects = {
            name: reproduction.effect_agreement(
                found[name], base[name], original_values[name], original_base[name]
            )
            for name in names
        }
    return Reproduced(
        order=None if theirs is None else reproduction.order_agreement(ours, theirs, depth=depth),
        values={
            name: reproduction.value_agreement(found[name], values)
            for name, values in original_values.items()
        },
        effects=effects,
        published={
            name: reproduction.published_number(
                [values[computed] for values in (found, *(values for _, values in others))],
                value,
                margin=as_margin(published.margins[name]) if name in published.margins else None,
            )
            for name, value in told.items()
            for computed in [with_relevance_level(name, relevance_level)]
        },
        notes=tuple(notes),
    )


def _check_reproduction(
    runs: Sequence[Path],
    original: Path | None,
    baselines: tuple[Path, Path] | None,
    published: Published,
) -> None:
    """Refuse what cannot be held against one another."""
    if original is None and not published.means:
        raise BadInput(
            "There is nothing to compare with. Give --original RUN or --published MEASURE=VALUE."
        )
    if baselines and original is None:
        raise BadInput("A gain is compared with the original's. Give --original RUN too.")
    if original is not None and len(runs) > 1:
        raise BadInput(
            f"{len(runs)} runs are the training seeds of one system, and an original is held against one run. "
            "Give one, or leave --original out."
        )
    for name in published.margins:
        if name not in published.means:
            raise BadInput(
                f"The margin of {name} stands beside no published mean. Give --published {name}=VALUE too."
            )


def reproduced_as_json(found: Reproduced) -> dict[str, Any]:
    """All that was found, as plain values."""
    return {
        "order": None if found.order is None else asdict(found.order),
        "values": {name: asdict(of) for name, of in found.values.items()},
        "effects": {name: asdict(of) for name, of in found.effects.items()},
        "notes": list(found.notes),
        "published": {
            name: asdict(of)
            | {"difference": of.difference, "is_same": of.is_same, "times_margin": of.times_margin}
            for name, of in found.published.items()
        },
    }


def convert(
    run: Path, out: Path, *, tag: str | None, metadata: Path | None
) -> tuple[Run, list[str]]:
    """Write a run of any form as canonical TREC, under the user's tag; the run and its notes."""
    writable(out)
    found = read_run_file(run)
    named = found.run if tag is None else Run(tag, found.run.rankings)
    head = None if metadata is None else _metadata(metadata)
    with written_whole(out) as aside:
        write_run(aside, named, metadata=head)
    return named, [f"read as {found.form}", *found.notes]


def _metadata(path: Path) -> dict[str, Any]:
    lines = dict(read_lines(path))
    text = "\n".join(lines.get(number, "") for number in range(1, max(lines, default=0) + 1))
    found = plain_yaml.read(text, str(path))
    if not isinstance(found, dict):
        raise BadInput(f"{path}: not a table. Give ir_metadata's tables (platform, method, ...).")
    return found
