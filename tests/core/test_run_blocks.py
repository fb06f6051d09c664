"""Runs read in blocks are those read line by line: rankings, form, tag and notes, or the same error."""

import math
from pathlib import Path
from random import Random

import pytest

from rankscope.core.errors import BadInput
from rankscope.core.records import Run
from rankscope.core.trec import run_blocks, runs
from rankscope.core.trec.byte_columns import ByteLines
from rankscope.core.trec.runs import RunFile

SCORES = [
    "1.5", "1.50", "-0.0", "0", "1e-50", "3.4e38", "20.0000001", "20.0", "7", ".5", "5.", "-.25", "+1",
    "0.12345678901234567", "1.1e1",
]  # fmt: skip
NO_NUMBERS = ["-", ".", "-1-1", "1.2.3", "1_0", "x"]


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
            place = (
                rng.choice([rank, 0, 3, "x", f"{rank}.0", f"0{rank}"])
                if is_odd and rng.random() < 0.5
                else rank
            )
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


def test_numbers_are_those_that_python_reads() -> None:
    rng = Random(0)
    texts = [f"{rng.uniform(-1000, 1000):.{rng.randint(0, 12)}f}" for _ in range(3_000)]
    texts += [repr(rng.uniform(-1, 1) * 10 ** rng.randint(-20, 20)) for _ in range(3_000)]
    texts += [
        f"{rng.randrange(10**15)}e-1",
        "-0",
        "0.0",
        "99999999999999.9",
        "999999999999999.9",
        *SCORES,
    ]
    block = ByteLines.of("".join(f"{text}\n" for text in texts).encode(), 1)
    assert block
    values, is_odd = block.numbers(block.fields[0])
    assert 3_000 < int((~is_odd).sum()) < len(texts)
    for text, value, is_unread in zip(texts, values.tolist(), is_odd.tolist(), strict=True):
        if not is_unread:
            assert (value, math.copysign(1, value)) == (float(text), math.copysign(1, float(text)))


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
    ids = run_blocks.JoinedIds("ab b é b1 1b a", 6)
    assert [ids.place_of(name) for name in ["ab", "b", "é", "b1", "1b", "a"]] == list(range(6))
    assert [ids.place_of(name) for name in ["", "c", "b é", " ", "1", "b b"]] == [None] * 6
