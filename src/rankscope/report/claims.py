"""Others' conclusions, held against the verdicts of a study."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rankscope.report.sections import Compared, StoredResults, comparisons, place, signed

TURNED = {"better": "worse", "worse": "better"}
SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "cannot be judged"


@dataclass(frozen=True)
class Claim:
    """A conclusion, whether this study bears it out, and each comparison it speaks of in words."""

    claim: str
    source: str
    outcome: str
    evidence: tuple[str, ...]


def claims(results: StoredResults) -> list[Claim]:
    """Every claim of the study file, in its order.

    A verdict that is the one claimed supports it, another one contradicts it, and "cannot tell"
    leaves it open. One contradiction contradicts the whole; with none, what could be judged decides.
    """
    return [_judged(claim, results) for claim in results.evaluation.get("claims", ())]


def _judged(claim: Mapping[str, Any], results: StoredResults) -> Claim:
    outcomes, evidence = Counter[str](), []
    for row in comparisons(results):
        if row.measure != claim["measure"]:
            continue
        for system in claim["systems"]:
            found = _found(row, system, claim["baseline"])
            if found is None:
                continue
            verdict, difference = found
            outcome = OPEN if verdict == "cannot tell" else CONTRADICTED
            outcome = SUPPORTED if verdict == claim["verdict"] else outcome
            outcomes[outcome] += 1
            evidence.append(
                f"{place(row.group, results)}, {system} against {claim['baseline']}: {verdict} "
                f"({row.measure} {signed(difference)}), {outcome}"
            )
    return Claim(claim["claim"], claim["source"] or "", _whole(outcomes), tuple(evidence))


def _found(row: Compared, system: str, baseline: str) -> tuple[str, float] | None:
    """Verdict and difference of the system against the baseline, whichever way round was compared."""
    if (row.system, row.baseline) == (system, baseline):
        return row.verdict, row.difference
    if (row.system, row.baseline) == (baseline, system):
        return TURNED.get(row.verdict, row.verdict), -row.difference
    return None


def _whole(outcomes: Counter[str]) -> str:
    n = outcomes.total()
    if outcomes[CONTRADICTED]:
        return f"{CONTRADICTED} in {outcomes[CONTRADICTED]} of {n} comparisons"
    if outcomes[SUPPORTED] and outcomes[OPEN]:
        return (
            f"{SUPPORTED} in {outcomes[SUPPORTED]} of {n} comparisons; the others cannot be judged"
        )
    return SUPPORTED if outcomes[SUPPORTED] else OPEN
