import math
from dataclasses import replace

from rankscope.report import steps
from rankscope.report.stored import StoredStep


def test_training_keeps_facts_notes_and_the_kept_update(results):
    first, second = steps.trainings(results)
    assert dict(first.facts)["displacement"] == "all 0.01235, head 0.5"
    assert "notes" not in dict(first.facts)
    assert first.notes == ("3 queries had no relevant doc in their group.",)
    assert (first.kept_update, first.validation_measure) == (300, "nDCG@10")
    assert first.validation[0] == (0, 0.31)
    assert (second.notes, second.kept_update) == ((), 200)


def test_a_ranker_with_a_log_and_no_step_is_still_shown(results):
    (only,) = steps.trainings(
        replace(results, steps=[], training={"C": [{"update": 1, "loss": 2.0}]})
    )
    assert (only.ranker, only.facts, only.validation, only.kept_update) == ("C", (), (), None)
    assert [(p.update, p.loss, p.smoothed) for p in only.loss] == [(1, 2.0, 2.0)]


def test_loss_is_smoothed_around_each_point_and_thinned_to_its_end(results):
    """Over 1200 losses 1, 2, 3 ... a mean of equally many to each side is the loss itself."""
    log = [{"update": n, "loss": float(n)} for n in range(1, 1201)]
    (only,) = steps.trainings(replace(results, steps=[], training={"C": log}))
    assert len(only.loss) == 300
    assert only.loss[-1].update == 1200
    middle = only.loss[150]
    assert middle.smoothed == middle.loss
    assert only.loss[-1].smoothed < 1200, "at the end there are only earlier ones"


def test_losses_that_are_no_numbers_are_left_out(results):
    log = [
        {"update": 1, "loss": math.nan},
        {"update": 2, "loss": 1.0},
        {"update": 2, "validation": math.inf},
    ]
    (only,) = steps.trainings(replace(results, steps=[], training={"C": log}))
    assert [p.update for p in only.loss] == [2]
    assert only.validation == ()


def test_facts_of_every_shape_are_words(results):
    summary = {
        "n_docs": 3,
        "on": True,
        "off": False,
        "why": None,
        "parts": [1.5, "x"],
        "none": [],
        "left_out": {},
        "by": {"a_b": 1},
    }
    step = StoredStep("a", "b", 1.0, summary)
    (row,) = steps.step_rows(replace(results, steps=[step]))
    assert row.facts == (
        ("docs", "3"),
        ("on", "yes"),
        ("off", "no"),
        ("why", "none"),
        ("parts", "1.5, x"),
        ("none", "none"),
        ("left out", "none"),
        ("by", "a b 1"),
    )


def test_notes_stand_beside_the_training_but_with_any_other_step(results):
    noted = [
        replace(step, kind=kind, summary={"notes": ["x"]})
        for kind, step in zip(("train", "bm25"), results.steps, strict=False)
    ]
    rows = steps.step_rows(replace(results, steps=noted))
    assert [row.facts for row in rows] == [(), (("notes", "x"),)]
