"""Guards, which stop a training that has silently gone wrong: one table, and the watch that applies it.

A guard says in one sentence what it saw and what to do; its level decides whether the training stops
(and stores nothing), goes on with a warning, or goes on. What a guard sees is stored whatever its
level, so levels change no result.

The guards of the updates are here, and read nothing but the log. The log is in every checkpoint, so a
training that starts again is guarded as if it had never stopped. The guards of weights are in
`movement`, those of data and tokens in `data.leaks` and `models.inputs`; `pipeline.training.guards` calls
them. No torch here: a study file is checked against the table.

What no guard sees: labels that are wrong but learnable (reversed, or so few that they are learnt by
heart within the patience). That is what a validation is for.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean, stdev
from typing import Literal, NamedTuple, final

from rankscope.core.errors import TrainingStopped, choose
from rankscope.core.progress import SILENT, Progress

When = Literal["before", "during", "after"]
Level = Literal["stop", "warn", "off"]

UNMOVED_SHARE = 0.5
"""A stage is unmoved if more than this share of its weights cannot or did not change."""
CUT_SHARE = 0.1
"""Share of cut docs above which there is a warning."""
RELEVANT_SHARE = 0.01
"""Share of queries in which a negative may be a relevant doc: real judgements are incomplete."""
BETTER_THAN_CHANCE = 0.1
"""How far from chance (0) to always (1) a first stage must find the positives."""
UNCHANGED_SHARE = 0.95
"""Share of queries in the same order from which on rankings count as unchanged."""
COLLAPSED_SPREAD = 1e-5
"""Standard deviation of a query's scores under which they are one value."""
TIED_SHARE = 0.5
"""Share of neighbours in a ranking with equal scores above which the order is chance."""
LOOK_EVERY = 10
"""Updates between two looks at the scores."""
LOOKS = 3
"""Looks in a row that must find it."""
PATIENCE = 200
"""Updates after the warm-up within which a loss must get below chance."""
FEWEST = 50
"""Updates after the warm-up from which on a shorter training is judged, at its end."""
STANDARD_ERRORS = 2.0
"""Half the width of a mean's confidence band."""
LEARNT_PAIRS = 0.53
"""A share of pairs in the right order whose band reaches this is not taken for chance (0.5)."""
NEGLIGIBLE = 1e-4
"""A loss below chance by less than this share of it is at chance, however sure."""
GRADIENT_NORMS = (1e-8, 1e4)
"""Gradient norms outside of which nothing is learnt."""
GRADIENTS = 20
"""Gradients in a row that must be outside."""
VALIDATIONS = 5
"""Validations in a row that must be under the first."""


class Guard(NamedTuple):
    """When a guard looks, its level unless a study gives another, and what it looks for."""

    when: When
    level: Level
    statement: str


GUARDS: dict[str, Guard] = {
    "test_queries": Guard(
        "before",
        "warn",
        "Queries of a collection of `evaluate.over` are training queries. Where both are parts of one split, or at "
        "least half of the test's queries have the words of training queries, `rankscope check` and `run` stop before any work, if no "
        "level is given here.",
    ),
    "validation_queries": Guard("before", "warn", "Validation queries are training queries."),
    "relevant_negatives": Guard(
        "before",
        "warn",
        f"In more than {RELEVANT_SHARE:.0%} of the queries a negative is judged relevant (for a query of the "
        "same words), or has the text of a relevant doc.",
    ),
    "unretrieved_positives": Guard(
        "before",
        "stop",
        "The first stage finds the positives of the training queries hardly more often (less than "
        f"{BETTER_THAN_CHANCE:.0%} of the way to always) than if they were drawn at random: the judgements "
        "belong to other docs or queries. What is then learnt is that a positive is not like the query.",
    ),
    "truncated_docs": Guard(
        "before", "warn", f"More than {CUT_SHARE:.0%} of the docs are cut at `max_length`."
    ),
    "special_tokens": Guard(
        "before",
        "warn",
        "The tokenizer does not set the token the head reads (first in an encoder, last in a decoder), "
        "nothing parts query and doc, or the token read counts as padding.",
    ),
    "prompts": Guard("before", "warn", "A model comes with prompts that nothing here uses."),
    "without_gradient": Guard(
        "before", "warn", "Trainable weights get no gradient from a trial batch."
    ),
    "head_frozen": Guard(
        "before",
        "stop",
        "The scoring head is frozen while the encoder, or its adapter, is trained.",
    ),
    "learning_rate": Guard(
        "before",
        "stop",
        f"For more than {UNMOVED_SHARE:.0%} of the weights a step of the learning rate is lost in the "
        "rounding of their precision (study B's released 6e-12 left 99.5 % unmoved).",
    ),
    "not_finite": Guard("during", "stop", "The loss or the gradient's norm is no finite number."),
    "collapsed_scores": Guard(
        "during",
        "stop",
        f"At {LOOKS} looks in a row, at most {LOOK_EVERY} updates apart and without dropout, all docs of a query "
        f"got one score (spread under {COLLAPSED_SPREAD:g}).",
    ),
    "tied_scores": Guard(
        "during",
        "warn",
        f"At {LOOKS} looks in a row more than {TIED_SHARE:.0%} of neighbouring docs had equal scores.",
    ),
    "loss_above_chance": Guard(
        "during",
        "stop",
        f"Over {PATIENCE} updates behind the warm-up (in a shorter training at its end, from {FEWEST} on) the "
        "mean loss was not below that of equal scores, nor the share of pairs in the right order above one "
        f"half, and that share was surely under {LEARNT_PAIRS:.0%} ({STANDARD_ERRORS:g} standard errors): labels "
        "that do not belong to their docs look like this.",
    ),
    "gradient_norm": Guard(
        "during",
        "warn",
        f"Over {GRADIENTS} updates the gradient's norm was under {GRADIENT_NORMS[0]:g} or over "
        f"{GRADIENT_NORMS[1]:g}.",
    ),
    "validation_falling": Guard(
        "during",
        "warn",
        f"{VALIDATIONS} validations in a row were under that of the ranker the stage began with.",
    ),
    "unmoved": Guard(
        "after", "stop", f"More than {UNMOVED_SHARE:.0%} of the trained weights are what they were."
    ),
    "unknown_facts": Guard(
        "after",
        "stop",
        "In pre-training that is told its `facts`: the first guess for a masked object is right in less than half of the "
        "clozes of facts that the text states, so the base knows nothing that an analysis of its knowledge could find.",
    ),
    "rankings_unchanged": Guard(
        "after",
        "warn",
        f"At least {UNCHANGED_SHARE:.0%} of the validation queries are ranked in the order of before.",
    ),
}


def look_every(max_updates: int) -> int:
    """Updates between two looks at the scores: at least so many looks that a short training has enough."""
    return max(1, min(LOOK_EVERY, max_updates // LOOKS))


Series = Mapping[str, Sequence[float]]
"""The log by column, so far."""


def _update(series: Series) -> int:
    return int(series["update"][-1])


@final
class Watch:
    """Watches one training: takes the guards' findings and acts by their levels."""

    def __init__(
        self,
        levels: Mapping[str, Level] | None = None,
        *,
        progress: Progress = SILENT,
        label: str = "train",
    ) -> None:
        for name in levels or {}:
            choose(GUARDS, name, what="guard")
        self._levels = {name: guard.level for name, guard in GUARDS.items()} | dict(levels or {})
        self._progress, self._label = progress, label
        self._series: dict[str, list[float]] = {}
        self.findings: dict[str, str] = {}
        """What each guard saw first, whatever its level."""

    def tell(self, name: str, finding: str | None) -> None:
        """Take the finding of a guard: stop, warn (once) or go on."""
        if finding is None or name in self.findings:
            return
        self.findings[name] = finding
        level = self._levels[name]
        if level == "stop":
            raise TrainingStopped(f"{finding} (`guards: {{{name}: warn}}` would go on.)")
        if level == "warn":
            self._progress.note(f"{self._label}: {finding}")

    def saw(self, row: Mapping[str, float]) -> None:
        """Look at the next row of the log; on starting again, at every row there is."""
        strange = not_finite(row)
        if strange is not None:
            self.tell("not_finite", strange)
            return  # no mean bears such a number
        for name, value in row.items():
            self._series.setdefault(name, []).append(value)
        for name, (column, look) in DURING.items():
            if column in row:
                self.tell(name, look(self._series))

    def ended(self) -> None:
        """Look once more at a training that was too short for the usual patience."""
        if "chance" in self._series:
            self.tell("loss_above_chance", loss_above_chance(self._series, fewest=FEWEST))


def not_finite(row: Mapping[str, float]) -> str | None:
    """A loss, gradient or validation that is not a finite number."""
    for name, value in row.items():
        if not math.isfinite(value):
            return (
                f"The {name.replace('_', ' ')} is {value} at update {row['update']:.0f}. Lower "
                "`learning_rate` or `clip_norm`, and look at the samples of that update."
            )
    return None


def collapsed_scores(series: Series) -> str | None:
    """A query's docs have had the same score at several looks in a row.

    The spreads are of scores without dropout, whose noise would hide a collapse.
    """
    recent = series["score_spread"][-LOOKS:]
    if len(recent) < LOOKS or max(recent) >= COLLAPSED_SPREAD:
        return None
    return (
        f"The scores have collapsed: at {LOOKS} looks up to update {_update(series)} all docs of a query "
        f"got the same score (spread under {COLLAPSED_SPREAD:g}). Lower `learning_rate`, lengthen `warmup`, "
        "or start from another ranker."
    )


def tied_scores(series: Series) -> str | None:
    """Most neighbours in a ranking have had equal scores at several looks in a row."""
    recent = series["tied_share"][-LOOKS:]
    if len(recent) < LOOKS or min(recent) <= TIED_SHARE:
        return None
    return (
        f"Equal scores: at {LOOKS} looks up to update {_update(series)} at least {min(recent):.0%} of "
        "neighbouring docs were tied, so their order is chance. Look for docs of one text, raise "
        "`max_length` if all are cut alike, or lower `learning_rate`."
    )


def loss_above_chance(series: Series, *, fewest: int = PATIENCE) -> str | None:
    """The loss shows nothing learnt: not below that of equal scores, and no more pairs in order than not.

    Both must fail, and the pairs must be many enough to be sure. The loss alone would stop a stage that
    begins with scores too far apart for its loss, and is right to: RankNet over a contrastive ranker's
    scores starts above chance although most pairs are in order. The share of pairs does not know how far
    scores are apart.
    """
    rates = series["learning_rate"][-PATIENCE:]
    n = len(rates) - rates.index(max(rates))  # not those before: the rate was still rising
    if n < max(fewest, 2):
        return None
    losses, chances = series["loss"][-n:], series["chance"][-n:]
    below = [chance - loss for loss, chance in zip(losses, chances, strict=True)]
    if fmean(below) > max(_noise(below), NEGLIGIBLE * abs(fmean(chances))):
        return None
    right = series["right_pairs"][-n:]
    ordered, noise = fmean(right), _noise(right)
    if ordered - noise > 0.5 or ordered + noise > LEARNT_PAIRS:
        return None
    return (
        f"Nothing is learnt: over the {n} updates to update {_update(series)} the mean loss was "
        f"{fmean(losses):.4f}, that of equal scores is {fmean(chances):.4f}, and {ordered:.1%} of the pairs "
        "were in the right order. Check that labels and docs belong together, then try another "
        "`learning_rate` or a longer `warmup`."
    )


def _noise(values: Sequence[float]) -> float:
    """The size that the mean of the values must exceed to differ from 0."""
    return STANDARD_ERRORS * stdev(values) / math.sqrt(len(values))


def gradient_norm(series: Series) -> str | None:
    """Gradients that are no use, for long."""
    recent = series["gradient_norm"][-GRADIENTS:]
    low, high = GRADIENT_NORMS
    if len(recent) < GRADIENTS or (max(recent) >= low and min(recent) <= high):
        return None
    what = (
        f"under {low:g}: nothing is left to learn from. End earlier, or give harder samples"
        if max(recent) < low
        else f"over {high:g}: every update is cut to `clip_norm`. Lower `learning_rate`"
    )
    return (
        f"Over the {GRADIENTS} updates to update {_update(series)} the gradient's norm was {what}."
    )


def validation_falling(series: Series) -> str | None:
    """The held-out queries have been ranked worse than at the start, several times in a row."""
    first, *later = series["validation"]
    recent = later[-VALIDATIONS:]
    if len(recent) < VALIDATIONS or max(recent) >= first:
        return None
    falls = sum(after < before for before, after in pairwise([first, *later]))
    return (
        f"The validation goes down: the last {VALIDATIONS} values (best {max(recent):.4f}) are under the "
        f"{first:.4f} the stage began with, and {falls} of {len(later)} fell. Lower `learning_rate`, stop "
        "earlier, or look whether the labels ask for what the measure counts."
    )


DURING: dict[str, tuple[str, Callable[[Series], str | None]]] = {
    "collapsed_scores": ("score_spread", collapsed_scores),
    "tied_scores": ("tied_share", tied_scores),
    "loss_above_chance": ("chance", loss_above_chance),
    "gradient_norm": ("gradient_norm", gradient_norm),
    "validation_falling": ("validation", validation_falling),
}
"""Guards of the updates: the column of the log that each waits for, and its look; `not_finite` looks at every row."""
