"""Runs read in blocks are those read line by line: rankings, form, tag and notes, or the same error."""

from pathlib import Path
from random import Random

import pytest

from rankscope.core.errors import BadInput
from rankscope.core.records import Run
from rankscope.core.trec import run_blocks, runs
from rankscope.core.trec.runs import RunFile

SCORES = ["1.5", "1.50", "-0.0", "0", "1e-50", "3.4e38", "20.0000001", "20.0", "7"]


def lines(rng: Random) -> list[str]:
    """A run of a few queries, some of them odd: ties, other ranks, ids that are not ASCII."""
    written = []
    for query in rng.sample(["q1", "q2", "é3", "4"], rng.randint(1, 4)):
        docs = [f"d{at}" for at in range(9)] + ["ñandú", "日本"]
        rng.shuffle(docs)
        falling = sorted((rng.uniform(-5, 5) for _ in docs), reverse=True)
        is_odd = rng.random() < 0.3
        for rank, (doc, score) in enumerate(zip(docs, falling, strict=True), start=1):
            shown = rng.choice(SCORES) if is_odd else f"{score:.6f}"
            place = rng.choice([rank, 0, 3, "x"]) if is_odd and rng.random() < 0.5 else rank
            written.append(f"{query} Q0 {doc} {place} {shown} {rng.choice(['a', 'a', 'b'])}")
    return written


def spoilt(rng: Random, written: list[str]) -> str:
    """The file's text with one odd thing in it, or none."""
    at = rng.randrange(len(written))
    columns = written[at].split()
    kind = rng.randrange(14)
    if kind == 0:
        written[at] = "\t".join(columns)
    elif kind == 1:
        written[at] = "  ".join(columns) + " "
    elif kind == 2:
        written.insert(at, rng.choice(["", "# a comment", "   "]))
    elif kind == 3:
        rng.shuffle(written)
    elif kind == 4:
        written.append(written[at])
    elif kind == 5:
        written[at] = " ".join(columns[:5])
    elif kind == 6:
        written[at] = " ".join([*columns, "more"])
    elif kind == 7:
        columns[4] = rng.choice(["nan", "inf", "1_0", "x", "1e999", "٣"])
        written[at] = " ".join(columns)
    return "\n".join(written) + rng.choice(["\n", "\n", "\n", "", "\n\n", "\r\n"])


def outcome(path: Path) -> RunFile | str:
    try:
        read = runs.read_trec_run(path)
    except BadInput as error:
        return str(error)
    return RunFile(Run(read.run.tag, dict(read.run.rankings)), read.form, read.notes)


@pytest.mark.parametrize("block_bytes", [40, 300, 8_000_000])
def test_blocks_and_lines_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    rng = Random(block_bytes)
    path = tmp_path / "a.run"
    n_by_blocks = 0
    for _ in range(120):
        path.write_text(spoilt(rng, lines(rng)), "utf-8", newline="")
        with monkeypatch.context() as patched:
            patched.setattr(run_blocks, "BLOCK_BYTES", block_bytes)
            n_by_blocks += run_blocks.read(path) is not None
            ours = outcome(path)
            patched.setattr(run_blocks, "read", lambda path: None)
            expected = outcome(path)
        assert ours == expected, path.read_text("utf-8")
    assert n_by_blocks > 15


def test_ids_are_parted_when_they_are_read() -> None:
    ids = run_blocks.JoinedIds("a b c", 3)
    assert (len(ids), list(ids), ids[1], ids[:2], ids[-1]) == (
        3,
        ["a", "b", "c"],
        "b",
        ["a", "b"],
        "c",
    )
