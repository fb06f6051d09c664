"""BM25: measures against Anserini's, and time and memory against tantivy and bm25s.

    python benchmarks/bm25.py --measures ../shared/data/scifact     a collection in BEIR layout
    python benchmarks/bm25.py                                       10, 100 thousand and a million generated docs
    python benchmarks/bm25.py --docs 8841823 --engines ours --rounds 1      MS MARCO's number; minutes, 6 GB of disk

    pip install tantivy numba       # no dependencies; an engine that is not there is left out

Generated docs have MS MARCO's lengths (60 tokens), words by Zipf's law, 38 % stop words, and 5 % are not ASCII. Every
engine reads them from one file. An index is built in a process of its own, engines in turn, three times (`--rounds`); the
median of seconds, CPU seconds and the process' peak memory is told. bm25s has its own tokenizer with the same stemmer; it
is left out above `MOST_OF_BM25S` docs. tantivy has two threads, the others one.

Searches are timed in one process, engines in turn, as often, in CPU seconds; ours and bm25s search the same index for
the same terms and return docs' places and scores. tantivy's scores are others (k1 1.2, b 0.75, rounded lengths).
"""

import argparse
import importlib.util
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from peaks import peak_megabytes

from rankscope.core.records import Doc
from rankscope.data.collections import beir_folder, judged_topics
from rankscope.evaluate.measuring import measured
from rankscope.retrieve import bm25
from rankscope.retrieve.analyzer import STOP_WORDS, analyzed

ROUNDS, DEPTH = 3, 1_000
MOST_OF_BM25S = 100_000
ANSERINI = {"nDCG@10": 0.6789, "R@100": 0.9253}
"""Of SciFact."""
SYLLABLES = [consonant + vowel for consonant in "bcdfghklmnprstvw" for vowel in "aeiou"]
ENDINGS = ["", "s", "ing", "ed", "ation", "er", "ly", "ness", "al"]
N_WORDS = 400_000
DOCS_AT_ONCE = 5_000


# -- generated docs ------------------------------------------------------------------------------


def words_by_rank() -> list[str]:
    """Made-up words, frequent ones short."""
    rng = random.Random(0)
    words: set[str] = set()
    while len(words) < N_WORDS:
        words.add("".join(rng.choices(SYLLABLES, k=rng.randrange(1, 6))) + rng.choice(ENDINGS))
    return sorted(words, key=lambda word: (len(word), word))


def generated(n_docs: int) -> Iterator[str]:
    words, stop_words = (np.array(w, dtype=object) for w in (words_by_rank(), sorted(STOP_WORDS)))
    share = np.cumsum(1 / (np.arange(N_WORDS) + 10))
    rng = np.random.default_rng(0)
    for start in range(0, n_docs, DOCS_AT_ONCE):
        n = min(DOCS_AT_ONCE, n_docs - start)
        lengths = np.clip(rng.normal(60, 15, n).astype(int), 5, 200)
        total = lengths.sum()
        drawn = words[np.searchsorted(share, rng.random(total) * share[-1])]
        is_stop = rng.random(total) < 0.38
        drawn[is_stop] = stop_words[rng.integers(0, len(stop_words), is_stop.sum())]
        is_odd, ends = rng.random(n) < 0.05, np.cumsum(lengths)
        for number, (end, length) in enumerate(zip(ends.tolist(), lengths.tolist(), strict=True)):
            text = drawn[end - length : end].tolist()
            text[0] = text[0].capitalize()
            text[length // 2] += ","
            if is_odd[number]:
                text[length // 3] = f"caf\u00e9{number % 50}"
            yield " ".join(text) + "."


def drawn_queries(docs: Path, n: int) -> list[str]:
    """Six words of a doc each."""
    rng = random.Random(1)
    with docs.open(encoding="utf-8") as file:
        texts = [line for line, _ in zip(file, range(10_000), strict=False)]
    clean = [" ".join(text.replace(",", "").replace(".", "").split()) for text in texts]
    return [" ".join(rng.choices(rng.choice(clean).split(), k=6)) for _ in range(n)]


# -- indexing ------------------------------------------------------------------------------------


def lines(docs: Path) -> Iterator[str]:
    with docs.open(encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n")


def index_ours(docs: Path, folder: Path) -> None:
    bm25.build((Doc(str(place), text) for place, text in enumerate(lines(docs))), folder)


def index_tantivy(docs: Path, folder: Path) -> None:
    import tantivy

    fields = tantivy.SchemaBuilder()
    fields.add_text_field("text", stored=False, tokenizer_name="en_stem", index_option="freq")
    fields.add_unsigned_field("place", stored=True)
    writer = tantivy.Index(fields.build(), path=str(folder)).writer(300_000_000, 2)
    for place, text in enumerate(lines(docs)):
        document = tantivy.Document()
        document.add_text("text", text)
        document.add_unsigned("place", place)
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()


def index_bm25s(docs: Path, folder: Path) -> None:
    import bm25s
    import Stemmer

    tokens = bm25s.tokenize(
        list(lines(docs)), stopwords="en", stemmer=Stemmer.Stemmer("porter"), show_progress=False
    )
    scorer = bm25s.BM25(method="lucene", k1=0.9, b=0.4)
    scorer.index(tokens, show_progress=False)
    scorer.save(folder, show_progress=False)


INDEXERS: dict[str, Callable[[Path, Path], None]] = {
    "ours": index_ours,
    "tantivy": index_tantivy,
    "bm25s": index_bm25s,
}


def index_here(engine: str, docs: Path, folder: Path) -> None:
    """Build one index and print what it took: what a process of its own does."""
    started, cpu_before = time.perf_counter(), time.process_time()
    INDEXERS[engine](docs, folder)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_before
    peak = peak_megabytes()
    print(json.dumps([seconds, cpu, peak]))


def index_in_turn(engines: list[str], docs: Path, folder: Path, n_rounds: int) -> None:
    taken: dict[str, list[tuple[float, float, float]]] = {engine: [] for engine in engines}
    for number in range(n_rounds):
        for engine in engines:
            target = folder / f"{engine}{number}"
            target.mkdir()
            command = [sys.executable, __file__, "--index", engine, str(docs), str(target)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            taken[engine].append(tuple(json.loads(done.stdout.splitlines()[-1])))
    for engine, rounds in taken.items():
        seconds, cpus, peaks = zip(*rounds, strict=True)
        share = median(seconds) / median(seconds for seconds, _, _ in taken["ours"])
        told = ", ".join(f"{each:.1f}" for each in seconds)
        print(
            f"| index | {engine} | {median(seconds):.1f} s ({told}), {median(cpus):.1f} CPU s | {share:.2f} | {median(peaks):.0f} MB |"
        )


# -- searching -----------------------------------------------------------------------------------


def search_ours(folder: Path, queries: list[str], depth: int) -> Callable[[], object]:
    index = bm25.Index.load(folder / "ours0")
    terms = [analyzed(query) for query in queries]
    return lambda: [index.top_of_terms(of_query, depth) for of_query in terms]


def search_bm25s(
    folder: Path, queries: list[str], depth: int, backend: str = "numpy"
) -> Callable[[], object]:
    import bm25s

    index = bm25s.BM25.load(folder / "ours0" / "bm25s", mmap=True, backend=backend)
    terms = [[t for t in analyzed(query) if t in index.vocab_dict] for query in queries]
    return lambda: index.retrieve(terms, k=depth, show_progress=False, n_threads=1)


def search_numba(folder: Path, queries: list[str], depth: int) -> Callable[[], object]:
    return search_bm25s(folder, queries, depth, backend="numba")


def search_tantivy(folder: Path, queries: list[str], depth: int) -> Callable[[], object]:
    import tantivy

    index = tantivy.Index.open(str(folder / "tantivy0"))
    searcher = index.searcher()
    return lambda: [searcher.search(index.parse_query(q, ["text"]), depth).hits for q in queries]


SEARCHERS: dict[str, Callable[[Path, list[str], int], Callable[[], object]]] = {
    "ours": search_ours,
    "bm25s, numpy": search_bm25s,
    "bm25s, numba": search_numba,
    "tantivy": search_tantivy,
}


def search_in_turn(
    engines: list[str], folder: Path, queries: list[str], depth: int, n_rounds: int
) -> None:
    ready = {engine: SEARCHERS[engine](folder, queries, depth) for engine in engines}
    taken: dict[str, list[float]] = {engine: [] for engine in engines}
    for number in range(n_rounds + 1):  # the first warms files and compiles
        for engine, search in ready.items():
            started = time.process_time()
            search()
            if number:
                taken[engine].append(time.process_time() - started)
    for engine, seconds in taken.items():
        share, each = median(taken["ours"]) / median(seconds), median(seconds) / len(queries)
        print(
            f"| search | {engine} | {median(seconds):.3f} CPU s, {each * 1e3:.2f} ms a query | ours / it {share:.2f} | |"
        )


# -- what is called ------------------------------------------------------------------------------


def compare(n_docs: int, n_queries: int, engines: list[str], n_rounds: int) -> None:
    indexers = [engine for engine in engines if engine in INDEXERS]
    if n_docs > MOST_OF_BM25S:
        indexers = [engine for engine in indexers if engine != "bm25s"]
    with TemporaryDirectory() as name:
        folder = Path(name)
        docs = folder / "docs.txt"
        with docs.open("w", encoding="utf-8") as file:
            file.writelines(f"{text}\n" for text in generated(n_docs))
        print(f"{n_docs} docs, {docs.stat().st_size / 1e6:.0f} MB")
        index_in_turn(indexers, docs, folder, n_rounds)
        queries, depth = drawn_queries(docs, n_queries), min(DEPTH, n_docs)
        search_in_turn(engines_of_search(engines), folder, queries, depth, n_rounds)


def engines_of_search(engines: list[str]) -> list[str]:
    is_wanted = {"ours": True, "tantivy": "tantivy" in engines, "bm25s, numpy": "bm25s" in engines}
    is_wanted["bm25s, numba"] = "bm25s" in engines and is_there("numba")
    return [engine for engine in SEARCHERS if is_wanted[engine]]


def is_there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def measures(source_folder: Path) -> None:
    source = beir_folder(source_folder, "test")
    topics = judged_topics(source)
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        n_docs = bm25.build(source.docs(), Path(folder))
        built = time.perf_counter()
        run = bm25.search(bm25.Index.load(Path(folder)), topics.queries, depth=DEPTH)
        searched = time.perf_counter()
    means = measured(run, topics.qrels, list(ANSERINI)).means()
    print(f"{n_docs} docs indexed in {built - started:.1f} s")
    print(f"{len(topics.queries)} queries, depth {DEPTH}: {searched - built:.2f} s")
    for measure, anserini in ANSERINI.items():
        difference = means[measure] - anserini
        print(
            f"{measure}: {means[measure]:.4f} (Anserini on SciFact {anserini}, {difference:+.4f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--measures", type=Path)
    parser.add_argument("--docs", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--engines", nargs="+", choices=INDEXERS, default=list(INDEXERS))
    parser.add_argument("--index", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.index:
        engine, docs, folder = given.index
        index_here(engine, Path(docs), Path(folder))
    elif given.measures:
        measures(given.measures)
    else:
        there = [engine for engine in given.engines if engine == "ours" or is_there(engine)]
        print(
            f"left out, since not installed: {', '.join(set(given.engines) - set(there)) or 'none'}"
        )
        for n_docs in given.docs:
            engines = ["ours", *(engine for engine in there if engine != "ours")]
            compare(n_docs, given.queries, engines, given.rounds)


if __name__ == "__main__":
    main()
