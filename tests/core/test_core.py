import pytest

from rankscope.core.errors import UnknownChoice, choose
from rankscope.core.progress import SILENT
from rankscope.core.records import Run, ScoredDoc
from rankscope.core.rng import seed_for, stream


def test_choose_explains_unknown_names() -> None:
    assert choose({"ranknet": 1}, "ranknet", what="loss") == 1
    with pytest.raises(UnknownChoice) as caught:
        choose({"ranknet": 1, "lce": 2}, "ranknett", what="loss")
    assert (
        str(caught.value)
        == "Unknown loss 'ranknett'. Did you mean 'ranknet'? There are: lce, ranknet."
    )


def test_streams_are_independent_and_repeatable() -> None:
    assert stream(1, "a", 2).random() == stream(1, "a", 2).random()
    draws = {
        stream(seed, *purpose).random() for seed in (1, 2) for purpose in (("a",), ("b",), ("a", 1))
    }
    assert len(draws) == 6
    assert 0 <= seed_for(42, "torch") < 2**63


def test_a_stream_is_the_same_on_every_machine() -> None:
    """Stored results rest on these draws: they must never move."""
    assert stream(42, "negatives", "q1", 0).sample(range(100), 3) == [70, 42, 98]


def test_top_keeps_the_best() -> None:
    run = Run.of("r", [ScoredDoc("q", f"d{i}", -i) for i in range(5)])
    assert [doc.doc_id for doc in run.top(2).rankings["q"]] == ["d0", "d1"]
    assert Run.of("r", []).tied_share() == 0.0


def test_nobody_need_watch() -> None:
    with SILENT.task("work", 3, "things", done=1) as task:
        task.advance(loss=1.0)
    SILENT.note("done")
