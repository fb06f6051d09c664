"""BM25's index against its witness: the exact analyzer, bm25s over its terms, and sorting all docs."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.core.errors import BadInput, DamagedArtifact
from rankscope.core.records import Doc, Query
from rankscope.data.collections import beir_folder
from rankscope.retrieve import bm25
from rankscope.retrieve.analyzer import LANGUAGES, analyzed
from rankscope.retrieve.lexical import blocks, boundaries, cut, keys, merge, weights
from rankscope.retrieve.lexical.blocks import DocBlock
from rankscope.retrieve.lexical.terms import Vocabulary
from rankscope.store.artifacts import Store
from support import bm25s_index

Bag = Counter[str]


def bags(texts: Sequence[str], language: str = "english") -> list[Bag]:
    """Each text's bag of terms as the index counts it, over blocks and over what is remembered of former ones."""
    vocabulary, found = Vocabulary(language), [Bag() for _ in texts]
    for block in blocks.blocks(Doc(str(place), text) for place, text in enumerate(texts)):
        terms, docs = vocabulary.occurrences(block)
        names = list(vocabulary.numbers)
        for term, doc in zip(terms.tolist(), docs.tolist(), strict=True):
            found[doc][names[term]] += 1
    return found


def exact_bags(texts: Sequence[str], language: str = "english") -> list[Bag]:
    return [Bag(analyzed(text, language)) for text in texts]


def differing(texts: Sequence[str], language: str = "english") -> list[str]:
    pairs = zip(texts, bags(texts, language), exact_bags(texts, language), strict=True)
    return [text for text, ours, exact in pairs if ours != exact]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, stripes and tables so small that there are many, and that tables grow and fill up."""
    monkeypatch.setattr(blocks, "BLOCK_CHARACTERS", 200)
    monkeypatch.setattr(merge, "STRIPE", 7)
    monkeypatch.setattr(keys, "FEWEST_BITS", 2)
    monkeypatch.setattr(keys, "MOST_BITS", 5)


# -- bags of terms -------------------------------------------------------------------------------

WORDS = [
    "neurodevelopment", "neurodevelopmental", "neurodevelopmentally", "abcdefgh", "abcdefghi", "abcdefg", "a", "s",
    "the", "The", "THE", "cats", "cat's", "CAT'S", "cat'S", "o'clock", "'s", "s's", "x's's", "U.S.A.", "3.14", "1,000",
    "a:b", "1:2", "a;b", "1;2", "a,b", "a.1", "1.a", "wi-fi", "x_y", "_", "__a__", "a_.b", "1'000", "me@x.org",
    "https://x.org/a?b=1", "pneumonoultramicroscopic", "b" * 15, "b" * 16, "b" * 17, "c" * 255, "d" * 256, "e" * 600,
    "d" * 255 + "'s", "na\u00efve", "caf\u00e9's", "dog\u2019s", "\u65e5\u672c\u8a9e", "\u0e20\u0e32\u0e29\u0e32",
    "km\u00b2", "10\u202f000", "\u0130I", "\U0001f44d\U0001f3fd", "\u00ad", "a\u00adb", "\u0308x", "e\u0301", "\x00",
    "\x1c", "\x85", "\u2028", "\n", "\t", "", "--", ".", "'",
]  # fmt: skip


def random_texts(rng: random.Random, n: int) -> list[str]:
    """Texts of joiners, possessives, long words, marks and numbers, parted by spaces or by nothing."""
    letters = "aAbzZ019_.:',;- sS" + "\u00e9\u0301\u65e5\u200d\u2019"
    texts = []
    for _ in range(n):
        parts = [
            rng.choice(WORDS)
            if rng.random() < 0.6
            else "".join(rng.choices(letters, k=rng.randrange(1, 24)))
            for _ in range(rng.randrange(0, 9))
        ]
        texts.append(rng.choice([" ", "  ", "\n", ""]).join(parts))
    return texts


def test_a_word_over_sixteen_bytes_is_not_taken_for_its_beginning() -> None:
    """With a key of a word's first 16 bytes for any word, these two were one."""
    short, long = "neurodevelopment", "neurodevelopmental"
    assert len(short) == keys.LONGEST
    assert bags([f"{short} {long}", long, short]) == exact_bags([f"{short} {long}", long, short])
    assert len(set(analyzed("neurodegenerative neurodegeneratives"))) == 1, (
        "a stemmer's affair, not a key's"
    )


def test_words_that_share_all_but_a_byte_have_keys_of_their_own() -> None:
    """The other table that looked right on made-up words: the second eight bytes count, and so does the length."""
    texts = [f"{'q' * n}{end}" for n in range(15) for end in ("", "x", "xy")]
    assert differing([" ".join(texts), *texts]) == []


@pytest.mark.parametrize("word", WORDS, ids=ascii)
def test_odd_words_have_the_analyzers_terms(word: str) -> None:
    texts = [word, f"a {word} b", f"{word}{word}", f"({word})", f"{word}\u00e9 {word}", f"{word}'s"]
    assert differing(texts) == []


def test_random_texts_have_the_analyzers_bags() -> None:
    assert differing(random_texts(random.Random(1), 6_000)) == []


@pytest.mark.slow
def test_many_random_texts_have_the_analyzers_bags() -> None:
    assert differing(random_texts(random.Random(2), 200_000)) == []


@pytest.mark.usefixtures("small_parts")
def test_a_full_table_and_many_blocks_change_no_bag() -> None:
    assert differing(random_texts(random.Random(3), 800)) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_analyzers_bags(language: str) -> None:
    texts = ["I ISTANBUL Irish Cats' THE running l'avion", *random_texts(random.Random(4), 60)]
    assert differing(texts, language) == []


def real_texts(real_data: Path, collection: str) -> list[str]:
    folder = real_data / collection
    split = sorted((folder / "qrels").iterdir())[0].stem
    return [doc.text for doc in beir_folder(folder, split).docs()]


@pytest.mark.parametrize("collection", ["scifact", "wikiqa"])
def test_real_docs_have_the_analyzers_bags(real_data: Path, collection: str) -> None:
    assert differing(real_texts(real_data, collection)[:1_000]) == []


@pytest.mark.slow
@pytest.mark.parametrize("collection", ["scifact", "wikiqa", "cranfield", "msmarco-dl19"])
def test_all_real_docs_have_the_analyzers_bags(real_data: Path, collection: str) -> None:
    assert differing(real_texts(real_data, collection)) == []


@given(st.text(st.characters(max_codepoint=127), max_size=60))
@settings(max_examples=300, deadline=None)
def test_the_words_of_ascii_text_are_the_analyzers(text: str) -> None:
    from rankscope.retrieve.analyzer import ASCII_WORD

    joined, _ = boundaries.padded([text])
    words = boundaries.found(joined)
    found = [joined[start:end].decode() for start, end in zip(*words, strict=True)]
    assert found == ASCII_WORD.findall(text)


def test_a_word_does_not_span_two_docs() -> None:
    assert bags(["a.", "b", "1", ",2", "", "c'", "d"])[1:3] == [Bag(["b"]), Bag(["1"])]
    assert differing(["a.", "b", "1", ",2", "", "c'", "d", "\u00e9", "f"]) == []


# -- the index -----------------------------------------------------------------------------------


def docs_of(texts: Sequence[str]) -> list[Doc]:
    return [Doc(f"d{place * 7919 % 1009}.{place}", text) for place, text in enumerate(texts)]


def same_index(docs: Sequence[Doc], folder: Path, **fields: object) -> bool:
    """Whether our index, as bm25s reads it, is bm25s' own to the bit."""
    assert bm25.build(iter(docs), folder, **fields) == len(docs)  # type: ignore[arg-type]
    theirs = bm25s_index.built(docs, **fields)  # type: ignore[arg-type]
    ours = bm25s_index.opened(folder)
    assert ours.scores["num_docs"] == len(docs)
    return bm25s_index.postings(ours) == bm25s_index.postings(theirs)


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.2, 0.75), (2.0, 1.0), (0.5, 0.0)])
def test_the_index_is_bm25ss_to_the_bit(tmp_path: Path, k1: float, b: float) -> None:
    assert same_index(docs_of(random_texts(random.Random(5), 700)), tmp_path, k1=k1, b=b)


@pytest.mark.usefixtures("small_parts")
def test_the_index_of_many_blocks_and_stripes_is_the_same(tmp_path: Path) -> None:
    texts = [*random_texts(random.Random(6), 150), "rare " * 300, "", "common", *["common"] * 40]
    assert same_index(docs_of(texts), tmp_path)


@pytest.mark.slow
def test_the_index_of_scifact_is_bm25ss_to_the_bit(real_data: Path, tmp_path: Path) -> None:
    assert same_index(list(beir_folder(real_data / "scifact", "test").docs()), tmp_path)


def test_the_index_of_a_part_of_scifact_is_bm25ss(real_data: Path, tmp_path: Path) -> None:
    assert same_index(list(beir_folder(real_data / "scifact", "test").docs())[:500], tmp_path)


def test_a_doc_id_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'same' stands twice"):
        bm25.build([Doc("same", "cat"), Doc("other", "cat"), Doc("same", "dog")], tmp_path)


def test_building_leaves_nothing_beside_the_index(tmp_path: Path) -> None:
    bm25.build([Doc("d", "cat")], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "analyzer.json",
        "bm25_ids",
        "bm25s",
    ]


def test_an_index_is_built_in_a_new_folder_and_over_another(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "index"
    for docs in ([Doc("a", "cat"), Doc("b", "dog")], [Doc("c", "bird")]):
        bm25.build(docs, folder)
    assert [doc_id for doc_id, _ in bm25.Index.load(folder).rank("bird", 3)] == ["c"]
    assert bm25.Index.load(folder).rank("cat", 3) == []


def test_an_index_with_a_damaged_file_is_refused(tmp_path: Path) -> None:
    name = "index-bm25-0123456789ab"
    with Store(tmp_path).writing(name, {"kind": "index"}) as (folder, _):
        bm25.build([Doc("a", "cat"), Doc("b", "dog")], folder)
    files = [path for path in Store(tmp_path).open(name).rglob("*.*") if path.is_file()]
    assert len(files) == 10, "nine of the index, and the manifest"
    for path in files:
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(DamagedArtifact):
            Store(tmp_path).open(name)
        path.write_bytes(whole)


def test_a_query_id_that_stands_twice_is_refused(tmp_path: Path) -> None:
    bm25.build([Doc("a", "cat")], tmp_path)
    with pytest.raises(BadInput, match="query id 'q' stands twice"):
        bm25.search(bm25.Index.load(tmp_path), [Query("q", "cat"), Query("q", "cat")], depth=1)


def test_ids_of_any_characters_come_back(tmp_path: Path) -> None:
    names = ["\u65e5", "\U0001f600", "a", "\uffee", "", "z" * 300, "\ud800"]
    bm25.build([Doc(name, "cat") for name in names], tmp_path)
    ranked = bm25.Index.load(tmp_path).rank("cat", 10)
    assert [doc_id for doc_id, _ in ranked] == sorted(names, reverse=True)


def test_frequencies_that_fill_more_than_a_byte(tmp_path: Path) -> None:
    assert same_index(docs_of(["cat " * 70_000, "cat dog", "dog " * 300]), tmp_path)


def test_an_idf_is_one_logarithm_for_each_number_of_docs() -> None:
    dfs = np.array([3, 1, 3, 10])
    by_hand = np.log(1 + (10 - dfs + 0.5) / (dfs + 0.5)).astype(np.float32)
    np.testing.assert_allclose(weights.idfs(dfs, 10), by_hand, rtol=1e-7)


# -- rankings ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Doc], Path]:
    """800 docs of few words, most of them the same as another; some are empty."""
    rng = random.Random(7)
    names = ["cat", "dog", "bird", "fish", "cow"]
    texts = [
        " ".join(rng.choices(names, [50, 20, 5, 2, 0.2], k=rng.randrange(0, 4))) for _ in range(800)
    ]
    docs = docs_of(texts)
    folder = tmp_path_factory.mktemp("tied")
    bm25.build(docs, folder)
    return docs, folder


QUERIES = ["cat", "cow", "cat dog", "dog cat", "cat cat dog", "fish bird cow", "horse", "the", "", "cat horse", "cat dog bird fish cow"]  # fmt: skip


@pytest.mark.parametrize("depth", [1, 2, 3, 10, 63, 64, 65, 400, 799, 800, 801, 5_000])
def test_rankings_are_those_of_sorting_all_docs(tied: tuple[list[Doc], Path], depth: int) -> None:
    docs, folder = tied
    index, theirs = bm25.Index.load(folder), bm25s_index.built(docs)
    doc_ids = [doc.doc_id for doc in docs]
    for query in QUERIES:
        expected = bm25s_index.ranked(theirs, doc_ids, query, depth)
        assert index.rank(query, depth) == expected, query


def test_single_scores_are_those_of_the_ranking(tied: tuple[list[Doc], Path]) -> None:
    docs, folder = tied
    index, doc_ids = bm25.Index.load(folder), [doc.doc_id for doc in docs]
    for query in QUERIES:
        by_rank = dict(index.rank(query, len(docs)))
        assert index.score(query, doc_ids) == [by_rank.get(doc_id, 0.0) for doc_id in doc_ids]


@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5, 3.0]), min_size=1, max_size=400),
    st.integers(1, 450),
    st.randoms(use_true_random=False),
)
@settings(max_examples=150, deadline=None)
def test_a_cut_is_that_of_sorting(scores: list[float], depth: int, rng: random.Random) -> None:
    ranks = list(range(len(scores)))
    rng.shuffle(ranks)
    padded = np.zeros(cut.padded_length(len(scores)), dtype=np.float32)
    padded[: len(scores)] = scores
    expected = sorted(((s, r, p) for p, (s, r) in enumerate(zip(scores, ranks, strict=True)) if s), reverse=True)[:depth]  # fmt: skip
    top = cut.top(padded, cut.IdRanks.of(np.array(ranks, dtype=np.int32)), depth)
    assert top.places.tolist() == [place for _, _, place in expected]
    assert top.scores.tolist() == [score for score, _, _ in expected]


@pytest.mark.parametrize("few", [0, 1 << 40], ids=["a bound", "all"])
@pytest.mark.parametrize("depth", [1, 5, 999, 1_000, 1_001, 3_000])
@pytest.mark.parametrize("n_scores", [1, 3, 100_000], ids="{} values".format)
def test_few_docs_and_many_are_cut_alike(
    monkeypatch: pytest.MonkeyPatch, n_scores: int, depth: int, few: int
) -> None:
    """1,000 of 70,000 docs have a score, of one value, few or many; the ranks of ids fill more than 16 bits."""
    monkeypatch.setattr(cut, "FEW", few)
    rng, n_docs = np.random.default_rng(depth), 70_000
    scores = np.zeros(cut.padded_length(n_docs), dtype=np.float32)
    scores[rng.choice(n_docs, 1_000, replace=False)] = rng.integers(1, n_scores + 1, 1_000) / 7
    ranks = rng.permutation(n_docs).astype(np.int32)
    by_score = np.lexsort((ranks, scores[:n_docs]))[::-1][: min(depth, 1_000)]
    top = cut.top(scores, cut.IdRanks.of(ranks), depth)
    assert top.places.tolist() == by_score.tolist()
    assert top.scores.tobytes() == scores[by_score].tobytes()


def test_without_a_score_there_is_nothing_to_cut() -> None:
    nothing = np.zeros(cut.padded_length(3), dtype=np.float32)
    top = cut.top(nothing, cut.IdRanks.of(np.arange(3, dtype=np.int32)), 2)
    assert (len(top.places), len(top.scores)) == (0, 0)


def test_a_place_is_looked_up_by_its_rank() -> None:
    assert cut.IdRanks.of(np.array([2, 0, 3, 1], dtype=np.int32)).places.tolist() == [1, 3, 0, 2]


def test_blocks_keep_every_doc_in_order() -> None:
    docs = docs_of(["word " * n for n in range(40)])
    assert [b.doc_ids for b in blocks.blocks(docs)] == [[doc.doc_id for doc in docs]]
    assert list(blocks.blocks([])) == []
    block = DocBlock(5)
    block.add(Doc("x", "a na\u00efve b"))
    assert (block.texts, block.pieces) == (["a b"], [(5, "na\u00efve")])
