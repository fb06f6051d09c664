"""A made-up collection whose passages say what they are worth, its run, and the words that ask for its rankings."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rankscope.core.rng import stream


class AskedWorld(NamedTuple):
    """A collection in BEIR layout, a run over it, and what each passage is worth."""

    folder: Path
    run: Path
    worth: dict[str, int]
    ranked: dict[str, list[str]]

    def words(self, endpoint: str, out: Path | str, *more: object) -> list[object]:
        """The words of `teacher ask`."""
        return [
            "teacher", "ask", "--run", self.run, "--collection", self.folder, "--model", "made-up",
            "--endpoint", endpoint, "--out", out, *more,
        ]  # fmt: skip

    def prompts(self, out: Path, requests: Path, *more: object) -> list[object]:
        """The words of `teacher prompts`."""
        return [
            "teacher", "prompts", "--run", self.run, "--collection", self.folder, "--model", "made-up",
            "--out", out, "--requests", requests, *more,
        ]  # fmt: skip

    def best_first(self, query_id: str) -> list[str]:
        """The docs of a query by what they are worth; equal ones in the run's order."""
        return sorted(self.ranked[query_id], key=lambda doc_id: -self.worth[doc_id])


def asked_world(folder: Path, *, n_queries: int = 4, n_docs: int = 25, grades: Sequence[int] = range(100)) -> AskedWorld:  # fmt: skip
    """A world in a folder; each doc of a query is worth another grade where there are enough of them."""
    folder.mkdir(parents=True, exist_ok=True)
    docs, queries, qrels, run = [], [], ["query-id\tcorpus-id\tscore"], []
    worth, ranked = {}, {}
    for q in range(n_queries):
        rng = stream(7, "world", q)
        drawn = rng.sample(list(grades), n_docs) if len(grades) >= n_docs else [rng.choice(list(grades)) for _ in range(n_docs)]  # fmt: skip
        queries.append({"_id": f"q{q}", "text": f"how is topic {q} made"})
        ranked[f"q{q}"] = [f"d{q}-{n}" for n in range(n_docs)]
        for n, grade in enumerate(drawn):
            text = f"passage {n} on topic {q}, worth {grade}"
            docs.append({"_id": f"d{q}-{n}", "title": "", "text": text})
            worth[f"d{q}-{n}"] = grade
            run.append(f"q{q} Q0 d{q}-{n} {n + 1} {1000 - n} made-up")
            if grade == max(drawn):
                qrels.append(f"q{q}\td{q}-{n}\t1")
    for name, rows in (("corpus", docs), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "qrels").mkdir(exist_ok=True)
    (folder / "qrels" / "test.tsv").write_text("\n".join(qrels) + "\n")
    (folder / "bm25.run").write_text("\n".join(run) + "\n")
    return AskedWorld(folder, folder / "bm25.run", worth, ranked)
