"""BM25 over SciFact: measures against Anserini's, and our cut against bm25s' own top-k.

Needs the collection in BEIR layout: `python benchmarks/bm25.py ../shared/data/scifact`
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import bm25s

from rankscope.data.collections import beir_folder, judged_topics
from rankscope.evaluate.measuring import measured
from rankscope.retrieve import bm25


def main() -> None:
    source = beir_folder(Path(sys.argv[1]), "test")
    topics = judged_topics(source)
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        n_docs = bm25.build(source.docs(), Path(folder))
        built = time.perf_counter()
        index = bm25.Index.load(Path(folder))
        run = bm25.search(index, topics.queries, depth=1000)
        searched = time.perf_counter()
        theirs = bm25s.BM25.load(Path(folder) / "bm25s", mmap=True, load_corpus=False)
        tokens = [
            [t for t in bm25.analyzed(query.text) if t in theirs.vocab_dict]
            for query in topics.queries
        ]
        theirs.retrieve(tokens, k=1000, show_progress=False, n_threads=1)
        retrieved = time.perf_counter()
    means = measured(run, topics.qrels, ["nDCG@10", "R@100"]).means()
    ours, peer = searched - built, retrieved - searched
    print(f"{n_docs} docs indexed in {built - started:.1f} s")
    print(
        f"{len(topics.queries)} queries, depth 1000: ours {ours:.2f} s, bm25s' top-k {peer:.2f} s"
    )
    for measure, anserini in (("nDCG@10", 0.6789), ("R@100", 0.9253)):
        print(
            f"{measure}: {means[measure]:.4f} (Anserini {anserini}, {means[measure] - anserini:+.4f})"
        )


if __name__ == "__main__":
    main()
