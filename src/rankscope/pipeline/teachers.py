"""A teacher from a file, and the quality of its order, compared with qrels and with the order it was shown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations, pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.data.answers import Malformed
from rankscope.data.candidates import TeacherCandidates, read_candidates
from rankscope.data.names import IdLookup
from rankscope.data.teacher_report import position_bias, summary
from rankscope.data.teachers import Teacher, from_lists, from_permutations, from_run
from rankscope.evaluate.measuring import Measuring
from rankscope.llm.answer_file import head_of
from rankscope.llm.asked import open_asked

MEASURE = "nDCG@10"

Opened = tuple[Teacher, TeacherCandidates | None]
"""A teacher, and the candidates it was shown, where they are known."""


def open_permutations(
    path: Path,
    candidates: Path,
    names: IdLookup,
    *,
    malformed: Malformed,
    window: int,
    step: int,
) -> tuple[Teacher, TeacherCandidates]:
    """An LLM as a teacher, and the candidates it was shown."""
    shown = read_candidates(candidates, names)
    head = head_of(path)
    if head is not None:
        return open_asked(path, head, shown, names, malformed=malformed), shown
    teacher = from_permutations(path, shown, names, malformed=malformed, window=window, step=step)
    return teacher, shown


def open_other(path: Path, kind: str, candidates: Path | None, names: IdLookup) -> Opened:
    """A teacher of any other kind, and the candidates it was shown, where they are known."""
    teacher = from_run(path, names) if kind == "run" else from_lists(path, kind, names)
    return teacher, None if candidates is None else read_candidates(candidates, names)


def quality(
    teacher: Teacher,
    shown: TeacherCandidates | None,
    qrels: Sequence[Qrel] | None,
    beside: Sequence[Run] = (),
) -> dict[str, Any]:
    """The report on a teacher, as plain data: counts, agreement with qrels and with other lists, position bias."""
    report = summary(teacher)
    rankings = None if shown is None else shown.rankings
    if qrels:
        report["agreement_with_qrels"] = agreement(teacher.run, rankings, qrels)
    for name, pairs in (
        ("agreement_of_orders", [*combinations(teacher.orders, 2)]),
        ("agreement_of_passes", [*pairwise(teacher.passes)]),
        *((f"agreement_with_{other.tag}", [(teacher.run, other)]) for other in beside),
    ):
        if pairs:
            report[name] = agreement_of_lists(pairs)
    is_as_shown = teacher.asked.get("order") != "shuffled"
    bias = (
        None if rankings is None or not is_as_shown else position_bias(teacher.run, rankings, qrels)
    )
    if bias is not None:
        report["position_bias"] = asdict(bias)
    return report


def agreement_of_lists(pairs: Sequence[tuple[Run, Run]]) -> dict[str, Any]:
    """How far lists agree over the queries that both have: means over pairs of them."""
    from rankscope.evaluate.reproduction import order_agreement

    found = [order_agreement(*pair) for pair in pairs]
    return {
        "n_queries": min(each.n_queries for each in found),
        "kendall_tau": fmean(each.kendall_tau_union for each in found),
        "rank_biased_overlap": fmean(each.rank_biased_overlap for each in found),
    }


def agreement(
    teacher: Run, shown: Mapping[str, Sequence[str]] | None, qrels: Sequence[Qrel]
) -> dict[str, Any] | None:
    """The teacher's nDCG@10 over the judged queries it ranks, beside that of the order it was shown.

    None where it ranks no judged query.
    """
    judged = [qrel for qrel in qrels if qrel.query_id in teacher.rankings]
    if not judged:
        return None
    measuring = Measuring(judged, [MEASURE])
    theirs = measuring.of(teacher)
    report: dict[str, Any] = {"n_queries": theirs.n_queries, MEASURE: theirs.means()[MEASURE]}
    both = [] if shown is None else [query for query in measuring.query_ids if query in shown]
    if shown is not None and both:
        measuring = measuring.only(both)
        places = (
            ScoredDoc(query, doc, -float(n)) for query in both for n, doc in enumerate(shown[query])
        )
        before = measuring.of(Run.of("candidates", places)).values[MEASURE]
        after = measuring.of(teacher).values[MEASURE]
        report |= {
            "n_queries_shown": len(both),
            f"candidates_{MEASURE}": sum(before.values()) / len(both),
            "share_improved": sum(after[query] > before[query] for query in both) / len(both),
            "share_worsened": sum(after[query] < before[query] for query in both) / len(both),
        }
    return report
