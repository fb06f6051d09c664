"""What bases that were pre-trained here know of facts: the accuracy of their clozes, as rows of a table."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rankscope.report.stored import StoredResults, StoredStep

FORMS: Mapping[str, str] = {
    "seen": "the statement stood in the text",
    "unseen": "stated, but not in this template",
    "question": "the question stood in the text, with its answer",
    "question unseen": "stated, but never answered in this question",
    "never stated": "no text names subject and object",
}
"""What pre-training showed of a fact in a template, by the name of the form (`core.records.Form`)."""
COLUMNS = ("base", "relation", "template", "form", "n", "right", "probability")


class Known(NamedTuple):
    """A base's accuracy in the clozes of one form, or of one template in one form."""

    asked: tuple[str, ...]
    """The form and its meaning; or relation, template and form."""
    n: int
    right: float
    probability: float


class Base(NamedTuple):
    """A base that was asked for its facts."""

    name: str
    n_facts: int
    n_facts_stated: int
    passes: float
    """How often pre-training read every doc."""
    by_form: tuple[Known, ...]
    by_template: tuple[Known, ...]


def bases(results: StoredResults) -> list[Base]:
    """The bases of a study that were told their facts, in the order of their steps; none for most studies."""
    return [_base(step) for step in results.steps if step.summary.get("cloze")]


def _base(step: StoredStep) -> Base:
    summary = step.summary
    return Base(
        step.name,
        summary["n_facts"],
        summary["n_facts_stated"],
        summary["passes"],
        tuple(_known(values, form, FORMS[form]) for form, values in summary["cloze"].items()),
        tuple(
            _known(row, row["relation"], row["template"], row["form"])
            for row in summary["cloze_by_template"]
        ),
    )


def _known(values: Mapping[str, Any], *asked: str) -> Known:
    return Known(asked, values["n"], values["right"], values["probability"])


def rows(known: list[Base]) -> Iterator[list[str]]:
    """Every base's accuracy by template, in full, under `COLUMNS`."""
    for base in known:
        for each in base.by_template:
            yield [base.name, *each.asked, str(each.n), repr(each.right), repr(each.probability)]
