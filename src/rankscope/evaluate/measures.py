"""The measures of ir_measures by name: which can be computed, from which grade, within which bounds."""

import re
from collections.abc import Mapping
from functools import cache
from subprocess import SubprocessError
from typing import Any

import ir_measures

from rankscope.core.errors import UnknownChoice
from rankscope.core.fields import HIGHEST_RELEVANCE, shown
from rankscope.core.records import Qrel, ScoredDoc
from rankscope.evaluate.measure_names import name_of, near

FAILURES = (
    ValueError, TypeError, ArithmeticError, LookupError, OSError, RuntimeError, SubprocessError,
)  # fmt: skip
"""The exceptions that the tools behind ir_measures raise."""


def parse(measure: str) -> Any:
    """The ir_measures object of a name such as nDCG@10 or AP(rel=2)@100, or of one that `measure_names` reads so."""
    try:
        parsed: Any = ir_measures.parse_measure(name_of(measure))
        parsed.validate_params()
    except (NameError, ValueError, SyntaxError, TypeError, KeyError, AssertionError) as error:
        reason = "no parameter is negative" if re.search(r"[@=:]\s*-", measure) else str(error)
        if needed := re.match(r"invalid param (\w+)=<object object", reason):
            reason = f"it needs `{needed[1]}`"
        likely = near(measure)
        hint = f" Did you mean {likely!r}?" if likely not in (None, measure) else ""
        raise UnknownChoice(
            f"Unknown measure {shown(measure)} ({reason}).{hint} Use a name of ir_measures, such as nDCG@10, "
            "RR@10, AP(rel=2)@100 or R@100."
        ) from error
    except (
        AttributeError,
        RecursionError,
        MemoryError,
    ) as error:  # what the parser was not written for
        raise UnknownChoice(
            f"Unknown measure {shown(measure)}: it cannot be parsed. Use a name of ir_measures, such as nDCG@10."
        ) from error
    for name, value in parsed.params.items():
        _check_parameter(measure, name, value)
    return parsed


LIMITS: Mapping[str, tuple[float, float, str]] = {
    "cutoff": (1, 1_000_000, "a cutoff is a number of docs, from 1 to 1,000,000"),
    "rel": (
        1,
        HIGHEST_RELEVANCE,
        "`rel` is the lowest relevant grade, 1 or more: 0 counts docs that are not",
    ),
    "min_rel": (0, HIGHEST_RELEVANCE, "`min_rel` is a grade, 0 or more"),
    "max_rel": (1, HIGHEST_RELEVANCE, "`max_rel` is the highest grade, 1 or more"),
    "p": (1e-9, 1 - 1e-9, "`p` lies between 0 and 1"),
    "alpha": (0, 1, "`alpha` lies from 0 to 1"),
    "beta": (1e-9, 1e9, "`beta` is above 0"),
    "recall": (0, 1, "a level of recall lies from 0 to 1"),
    "T": (1e-9, 1e9, "`T` is above 0"),
}
"""The range of each parameter. Outside it the tools behind ir_measures divide by zero or end the process, so they
never see such a value."""


def _check_parameter(measure: str, name: str, value: Any) -> None:
    """Refuse a parameter out of range. Other parameters are flags and choices, which ir_measures checks."""
    low, high, meaning = LIMITS.get(name, (0, 0, ""))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if meaning and not (is_number and low <= value <= high):
        raise UnknownChoice(f"The measure {measure!r}: {meaning}. Found {shown(value)}.")
    if name == "gains" and not _are_gains(value):
        raise UnknownChoice(
            f"The measure {measure!r}: `gains` are grades with a whole number from 0 each, as in "
            f"{{0: 0, 1: 1, 2: 3}}. Found {shown(value)}."
        )
    if name == "recall" and round(value, 2) != value:
        raise UnknownChoice(
            f"The measure {measure!r}: trec_eval knows levels of recall to two digits. Give {value:.2f}."
        )


def _check_together(measure: str, parsed: Any) -> None:
    """Refuse parameters that leave nothing to compute."""
    low, high = (parsed.params.get(name) for name in ("min_rel", "max_rel"))
    if high is not None and (low or 0) >= high:
        raise UnknownChoice(f"The measure {measure!r}: `max_rel` must be above `min_rel`.")
    if parsed.NAME == "Accuracy" and parsed.params.get("cutoff") == 1:
        raise UnknownChoice(
            f"The measure {measure!r} counts pairs of docs, and its cutoff leaves one doc. Give 2 or more."
        )


def _are_gains(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(
            type(number) is int
            and abs(number) <= HIGHEST_RELEVANCE
            and (number >= 0 or number in value)
            for pair in value.items()
            for number in pair
        )
    )


@cache
def computable(measure: str) -> None:
    """Refuse a measure that cannot be computed from qrels and a run, or whose tool is not installed."""
    parsed = parse(measure)
    _check_together(measure, parsed)
    qrels = [Qrel("1", "d1", 1), Qrel("1", "d2", 0)]
    run = [ScoredDoc("1", "d1", 2.0), ScoredDoc("1", "d2", 1.0)]
    try:
        ir_measures.calc_aggregate([parsed], qrels, run)
    except ValueError as error:
        needed = re.findall(r"^ - (\S+)", str(error), re.MULTILINE)
        reason = (str(error).splitlines() or ["?"])[0]
        if needed:
            reason = f"it needs {' or '.join(needed)}"
        elif reason.startswith("Unsupported measures"):
            reason = "no tool of ir_measures has it with these parameters"
        raise UnknownChoice(
            f"The measure {measure!r} cannot be computed from qrels and a run with the tools installed "
            f"here ({reason}). Use another, such as nDCG@10{', or install that' if needed else ''}."
        ) from error
    except FAILURES as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnknownChoice(
            f"The measure {measure!r} cannot be computed from qrels and a run with the tools installed "
            f"here ({reason}). Use another, such as nDCG@10."
        ) from error


def with_relevance_level(measure: str, level: int) -> str:
    """ir_measures' name, with `rel=level` where the measure takes a relevance level and the name does not give one."""
    parsed = parse(measure)
    takes_level = "rel" in parsed.SUPPORTED_PARAMS and parsed.NAME not in {"NumRet", "NumRel"}
    if level == 1 or not takes_level or "rel" in parsed.params:
        return name_of(measure)
    return str(parsed(rel=level))


def level_of(measure: str) -> int | None:
    """The lowest grade that a measure counts as relevant; None for a measure that does not count relevant docs."""
    parsed = parse(measure)
    if parsed.NAME in {"Judged", "NumQ", "NumRel", "NumRet"}:
        return None
    return int(parsed.params.get("rel", 1))


BOUNDED = frozenset(
    [
        "AP",
        "AP_IA",
        "Accuracy",
        "Bpref",
        "Compat",
        "ERR",
        "ERR_IA",
        "IPrec",
        "Judged",
        "nDCG",
        "nERR_IA",
        "NERR8",
        "NERR9",
        "NERR10",
        "NERR11",
        "nNRBP",
        "P",
        "P_IA",
        "R",
        "RBP",
        "Rprec",
        "RR",
        "SetAP",
        "SetF",
        "SetP",
        "SetR",
        "SetRelP",
        "StRecall",
        "Success",
        "alpha_nDCG",
        "infAP",
    ]
)
"""The measures of ir_measures whose values lie between 0 and 1."""


def span(measure: str) -> float | None:
    """The largest difference of two values: 1 between 0 and 1; None for a measure without bounds."""
    return 1.0 if parse(measure).NAME in BOUNDED else None
