"""Inputs that were answered wrongly once, in small: one test for each, by the door a user takes.

Each stands for its kind; the tests of the parts hold the kinds. A name begins with the case's number.
"""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from scipy import stats
from sentence_transformers import CrossEncoder as TheirCrossEncoder

import rankscope as front
from rankscope.core.errors import BadInput
from rankscope.core.records import ListwiseSample, Qrel
from rankscope.models import backbone
from rankscope.retrieve.analyzer import analyzed
from rankscope.train.losses import LOSSES
from rankscope.train.objectives.batches import Order
from rankscope.train.objectives.in_batch import InBatchObjective
from support import tiny
from support.command import Answer, Command


def stored(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def collection(folder: Path, docs: dict[str, str] | str, query: str, relevant: str = "d1") -> Path:
    """A BEIR folder with one judged query, q1; docs as their texts by id, or as the lines of the file."""
    rows = [json.dumps({"_id": doc, "text": text}) + "\n" for doc, text in dict(docs).items()] if isinstance(docs, dict) else docs  # fmt: skip
    stored(folder / "corpus.jsonl", "".join(rows))
    stored(folder / "queries.jsonl", json.dumps({"_id": "q1", "text": query}) + "\n")
    stored(folder / "qrels" / "test.tsv", f"query-id\tcorpus-id\tscore\nq1\t{relevant}\t1\n")
    return folder


def refused(answer: Answer, *said: str) -> None:
    """One sentence on one line, exit code 1, with these words."""
    assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1), answer
    assert "this is a bug of rankscope" not in answer.err
    for words in said:
        assert words in answer.err


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bi-encoder's folder; who spoils it puts it right again."""
    return tiny.save_bi_encoder(tmp_path_factory.mktemp("whole") / "m")


# -- 1 --------------------------------------------------------------------------------------------


def test_01_a_queen_in_hindi_is_found_first(rankscope: Command, tmp_path: Path) -> None:
    """Before: `['र', 'न']`, the blue colour first, RR@10 .5."""
    assert len(analyzed("रानी")) == 1
    docs = {"d1": "रानी महल में रहती है", "d9": "रंग नीला"}
    data = collection(tmp_path / "data", docs, "रानी")
    found = rankscope("search", "bm25", "--collection", data, "--out", tmp_path / "b.run")
    assert (found.code, found.err) == (0, "")
    words = (tmp_path / "b.run", "--qrels", data, "--measures", "RR@10")
    assert rankscope("evaluate", *words).out.endswith("\t1.0000\n")


@pytest.mark.parametrize(
    "word",
    [
        pytest.param("রানী", id="Bengali"),
        pytest.param("அரசி", id="Tamil"),
        pytest.param("రాణి", id="Telugu"),
        pytest.param("مَلِكَة", id="vocalised Arabic"),
        pytest.param("מַלְכָּה", id="pointed Hebrew"),
    ],
)
def test_01_a_word_with_its_marks_is_one(word: str) -> None:
    assert analyzed(word) == [word]


@pytest.mark.parametrize("text", ["ราชินี", "មហាក្សត្រិយានី", "ဘုရင်မ"], ids=["Thai", "Khmer", "Burmese"])  # fmt: skip
def test_01_a_script_that_needs_a_dictionary_is_told(
    rankscope: Command, tmp_path: Path, text: str
) -> None:
    data = collection(tmp_path / "data", {"d1": text}, text)
    found = rankscope("search", "bm25", "--collection", data, "--out", tmp_path / "b.run")
    assert "1 of 1 doc has words in Thai, Lao, Khmer, Burmese or their kin" in found.err


# -- 2, 9, 11 and 12: cross-encoders ----------------------------------------------------------------

QUERY = "who sits"
DOCS = {"d1": "red cat", "d2": "the blue dog sits under the tree on a mat", "d3": "bird"}
SMALL = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
SCORER = transformers.AutoModelForSequenceClassification


def scorer(folder: Path, config: Any) -> Path:
    """A cross-encoder with random weights, as transformers saves one."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = SCORER.from_config(config)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.1 * torch.randn_like(weight))
    made = tiny.tokenizer()
    made.eos_token = "[SEP]"
    with backbone.quiet():
        model.save_pretrained(folder)
        made.save_pretrained(folder)
    return folder


def bert(**how: Any) -> Any:
    return transformers.BertConfig(**SMALL, intermediate_size=64, pad_token_id=0, **how)


def reranked(rankscope: Command, folder: Path, place: Path) -> tuple[list[float], Answer]:
    """The scores that `rerank` writes for the three docs."""
    data = collection(place / "data", DOCS, QUERY)
    run = stored(place / "first.run", "".join(f"q1 Q0 {doc} 1 {9 - n} t\n" for n, doc in enumerate(DOCS)))  # fmt: skip
    answer = rankscope("rerank", folder, "--collection", data, "--run", run, "--out", place / "o")
    assert answer.code == 0, answer.err
    by_doc = {doc.doc_id: doc.score for doc in front.read_run(place / "o").rankings["q1"]}
    return [by_doc[doc] for doc in DOCS], answer


def theirs(folder: Path) -> Any:
    """The logits of sentence-transformers."""
    with backbone.quiet():
        model = TheirCrossEncoder(str(folder), device="cpu")
        pairs = [(QUERY, doc) for doc in DOCS.values()]
        return model.predict(pairs, activation_fn=torch.nn.Identity(), batch_size=1)


def test_02_a_cross_encoders_own_prompt_is_used(rankscope: Command, tmp_path: Path) -> None:
    plain = scorer(tmp_path / "plain", bert(num_labels=1))
    prompts = {"prompts": {"rel": "where the house "}, "default_prompt_name": "rel"}
    with backbone.quiet():
        TheirCrossEncoder(str(plain), device="cpu", **prompts).save_pretrained(str(tmp_path / "m"))
    card = json.loads((tmp_path / "m" / "config_sentence_transformers.json").read_text())
    assert {name: card[name] for name in prompts} == prompts
    ours, _ = reranked(rankscope, tmp_path / "m", tmp_path)
    assert ours == pytest.approx(theirs(tmp_path / "m"), abs=1e-5)
    assert ours != pytest.approx(theirs(plain), abs=1e-2), "without the prompt they are others"


def test_09_a_t5_with_one_label_scores(rankscope: Command, tmp_path: Path) -> None:
    """Before: AttributeError max_position_embeddings."""
    config = transformers.T5Config(
        vocab_size=64, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, pad_token_id=0,
        eos_token_id=3, decoder_start_token_id=0, num_labels=1,
    )  # fmt: skip
    folder = scorer(tmp_path / "m", config)
    assert json.loads((folder / "config.json").read_text())["architectures"] == [
        "T5ForSequenceClassification"
    ]
    assert reranked(rankscope, folder, tmp_path)[0] == pytest.approx(theirs(folder), abs=1e-5)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT's own
@pytest.mark.parametrize("saved_by", ["sentence-transformers", "PEFT"])
def test_11_an_adapter_with_its_head_over_a_bare_bert_scores(
    rankscope: Command, tmp_path: Path, saved_by: str
) -> None:
    """Before: "no trained scoring head", and of PEFT's own folder (adapter_config.json alone) "not a model"."""
    base, folder = tiny.save_encoder(tmp_path / "base"), tmp_path / "m"
    lora = peft.LoraConfig(
        task_type="SEQ_CLS", target_modules=["query"], modules_to_save=["classifier"]
    )
    with backbone.quiet(), torch.random.fork_rng():
        torch.manual_seed(1)
        whole = TheirCrossEncoder(str(base), num_labels=1, device="cpu")
        if saved_by == "PEFT":
            saved = adapted = peft.get_peft_model(whole.model, lora)
        else:
            whole.add_adapter(lora)
            saved, adapted = whole, whole.model
        with torch.no_grad():
            for name, weight in adapted.named_parameters():
                if "lora_" in name or "modules_to_save" in name:
                    weight.add_(torch.randn_like(weight))
        saved.save_pretrained(str(folder))
        made = transformers.AutoTokenizer.from_pretrained(base)
        pairs = [made(QUERY, doc, return_tensors="pt") for doc in DOCS.values()]
        with torch.inference_mode():
            expected = [adapted.eval()(**pair).logits.item() for pair in pairs]
    assert (folder / "adapter_config.json").exists()
    assert (folder / "modules.json").exists() == (saved_by != "PEFT")
    assert reranked(rankscope, folder, tmp_path)[0] == pytest.approx(expected, abs=1e-5)


def test_12_two_labels_are_logit_1_less_logit_0_and_named(
    rankscope: Command, tmp_path: Path
) -> None:
    """Before: "would be left partly at random"."""
    folder = scorer(tmp_path / "m", bert(num_labels=2))
    ours, answer = reranked(rankscope, folder, tmp_path)
    logits = theirs(folder)
    assert ours == pytest.approx(logits[:, 1] - logits[:, 0], abs=1e-5)
    assert (
        "The model has two labels: a score is the logit of 'LABEL_1' (label 1) less" in answer.err
    )


# -- 3 --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "counted"),
    [
        ("1. [5]\n2. [3]\n3. [1]\n4. [2]\n5. [4]", ""),
        (
            "<think>[1] is off topic, [2] too; of the 5 passages [5] answers.</think>"
            "[5] > [3] > [1] > [2] > [4]",
            "repairs: words beside the ids\t1\n",
        ),
    ],
    ids=["a numbered list", "thoughts before the order"],
)
def test_03_what_an_llm_means_is_read(
    rankscope: Command, tmp_path: Path, answer: str, counted: str
) -> None:
    """Before: a e b c d, and a b e c d."""
    given = stored(tmp_path / "a.jsonl", json.dumps({"query_id": "q1", "response": answer}))
    shown = stored(tmp_path / "s.run", "".join(f"q1 Q0 {d} 1 {9 - n} t\n" for n, d in enumerate("abcde")))  # fmt: skip
    told = rankscope("teacher", "read", given, "--candidates", shown, "--out", tmp_path / "t.run")
    ranking = front.read_run(tmp_path / "t.run").rankings["q1"]
    assert "".join(doc.doc_id for doc in ranking) == "ecabd"
    assert counted in told.out
    assert ("repairs: " in told.out) == bool(counted)


# -- 4, 8: docs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"_id": "l", "text": ["liver", "pain"]}', "line 2: `text` is ['liver', 'pain']"),
        ('{"_id": "m", "text": {"en": "lung"}}', "line 2: `text` is {'en': 'lung'}"),
        (r'{"_id": "s", "text": "half \ud83d"}', "line 2: `text` holds half a character"),
    ],
    ids=["04 a list", "04 a table", "08 a lone surrogate"],
)
@pytest.mark.parametrize("verb", ["search", "rerank"])
def test_04_and_08_what_is_no_text_is_refused_by_file_and_line(
    rankscope: Command, tmp_path: Path, whole: Path, line: str, said: str, verb: str
) -> None:
    """One rule at reading: before, `search` indexed "en" and brackets, and `rerank` ended in an error of encoding."""
    good = json.dumps({"_id": "d1", "text": "liver"})
    data = collection(tmp_path / "data", f"{good}\n{line}\n", "liver")
    run = stored(tmp_path / "a.run", f"q1 Q0 {json.loads(line)['_id']} 1 2.0 t\n")
    model = whole if verb == "rerank" else "bm25"
    words = (model, "--collection", data, "--out", tmp_path / "o.run")
    answer = rankscope(verb, *words, *(("--run", run) if verb == "rerank" else ()))
    refused(answer, str(data / "corpus.jsonl"), said)
    assert not (tmp_path / "o.run").exists()


def test_04_a_nan_for_a_title_is_none(rankscope: Command, tmp_path: Path) -> None:
    """Before: the word "nan" was indexed."""
    docs = '{"_id": "d1", "title": NaN, "text": "liver"}\n{"_id": "d2", "text": "lung"}\n'
    data = collection(tmp_path / "data", docs, "nan lung")
    rankscope("search", "bm25", "--collection", data, "--out", tmp_path / "o.run")
    assert [doc.doc_id for doc in front.read_run(tmp_path / "o.run").rankings["q1"]] == ["d2"]


# -- 5 --------------------------------------------------------------------------------------------

FRANCE = ("capital of france", "Capital of France")


@pytest.mark.parametrize(
    ("queries", "docs"),
    [
        (FRANCE, ("the red cat", "the blue dog")),
        (("who", "what"), ("the red cat", "the red cat")),
    ],
    ids=["a query under two ids", "a doc under two ids"],
)
def test_05_what_has_the_same_words_is_no_negative(
    tmp_path: Path, queries: tuple[str, str], docs: tuple[str, str]
) -> None:
    """Two queries, each with its own positive, and no negative left. Before: .8305 and .3466 where nothing is to learn."""
    texts = {f"q{n}": (query, [doc]) for n, (query, doc) in enumerate(zip(queries, docs, strict=True))}  # fmt: skip
    batch = [ListwiseSample(f"q{n}", (f"d{n}",), (1.0,)) for n in (0, 1)]
    made = InBatchObjective(
        ranker=tiny.bi_encoder(tmp_path, similarity="cosine"),
        loss_function=LOSSES["info_nce"],
        order=Order(lambda epoch: batch, len, queries_per_update=2, queries_per_batch=2, seed=1),
        texts=lambda sample: texts[sample.query_id],
        is_known=lambda query_id, doc_id: False,
        temperature=0.02,
    )
    assert made.outcome(made.ranker.model, made.prepared(batch)).loss.item() == 0.0


def test_05_the_doctor_counts_them(rankscope: Command, tiny_study: Path, tmp_path: Path) -> None:
    """The tiny study asks two of its eight queries twice."""
    told = rankscope("doctor", tiny_study, "--results", tmp_path).err
    assert "4 of 8 training queries have the words of another" in told


# -- 6, 13, 14, 17, 21: runs and qrels ------------------------------------------------------------


@pytest.mark.parametrize("header", ["", "query-id\tcorpus-id\tscore\n"])
def test_06_an_id_with_a_space_is_refused(rankscope: Command, tmp_path: Path, header: str) -> None:
    """Before, without the header: doc d1, and nDCG@10 1.0 for a run of it."""
    run = stored(tmp_path / "a.run", "1 Q0 d1 1 2.0 t\n")
    qrels = stored(tmp_path / "qrels", f"{header}1\tannex d1\t1\n")
    line = 2 if header else 1
    refused(rankscope("evaluate", run, "--qrels", qrels), f"{qrels}, line {line}: ", "'annex d1' has a space")  # fmt: skip


@pytest.mark.parametrize("form", ["q 0 d {}\n", '{{"q": {{"d": {}}}}}'], ids=["TREC", "JSON"])
def test_13_a_grade_of_2_0_is_2_and_one_of_0_5_is_none(
    rankscope: Command, tmp_path: Path, form: str
) -> None:
    run = stored(tmp_path / "a.run", "q Q0 d 1 2.0 t\n")
    two, half = (stored(tmp_path / at, form.format(at)) for at in ("2.0", "0.5"))
    assert front.read_qrels(two) == [Qrel("q", "d", 2)]
    assert rankscope("evaluate", run, "--qrels", two, "--measures", "RR(rel=2)").out.endswith("\t1.0000\n")  # fmt: skip
    refused(rankscope("evaluate", run, "--qrels", half), str(half), "0.5", "is not a whole number")


def test_14_a_packed_run_is_read_under_any_name(rankscope: Command, tmp_path: Path) -> None:
    """Before: "a carriage return stands inside it"."""
    run = stored(tmp_path / "packed", gzip.compress(b"q Q0 d 1 2.0 t\n"))
    qrels = stored(tmp_path / "qrels", "q 0 d 1\n")
    assert rankscope("evaluate", run, "--qrels", qrels, "--measures", "RR").out == "run\tRR\nt\t1.0000\n"  # fmt: skip
    stored(run, b"\x04\x22\x4d\x18 and so on")
    refused(rankscope("evaluate", run, "--qrels", qrels), f"{run}: it is packed by lz4. Unpack it")


def test_17_paths_may_be_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before: 'str' object has no attribute 'suffix'. Every reader and writer of the front."""
    monkeypatch.chdir(tmp_path)
    stored(tmp_path / "b.run", "q Q0 d 1 2.0 t\np Q0 d 1 2.0 t\n")
    run, qrels = front.read_run("b.run"), [Qrel("q", "d", 1), Qrel("p", "d", 1)]
    front.write_run("a.run", run)
    front.write_run("a.run.gz", run)
    front.write_qrels("a.qrels", qrels)
    assert front.read_run("a.run") == front.read_run("a.run.gz") == run
    assert front.read_qrels("a.qrels") == qrels
    assert front.measure(["a.run"], "a.qrels", ["RR"]).record.means() == {"t": {"RR": 1.0}}
    assert front.compare({"x": "a.run", "y": "b.run"}, "a.qrels").record.evaluation.n_queries == 2


def test_21_scores_are_float32_as_in_trec_eval(rankscope: Command, tmp_path: Path) -> None:
    """Before: RR 0.5. As float32 the two tie, and the higher id comes first."""
    run = stored(tmp_path / "a.run", "q Q0 a 1 20.0000001 t\nq Q0 b 2 20.0 t\n")
    qrels = stored(tmp_path / "qrels", "q 0 a 0\nq 0 b 1\n")
    assert rankscope("evaluate", run, "--qrels", qrels, "--measures", "RR").out == "run\tRR\nt\t1.0000\n"  # fmt: skip


# -- 7, 18: verdicts ------------------------------------------------------------------------------


def halves(folder: Path, n: int, **firsts: Callable[[int], bool]) -> list[Path]:
    """Qrels, and a run for each name: doc a, the relevant one, is first where it is said, else second."""
    stored(folder / "qrels", "".join(f"q{q} 0 a 1\n" for q in range(n)))
    for name, is_first in firsts.items():
        lines = [f"q{q} Q0 {'ax'[at] if is_first(q) else 'xa'[at]} {at} {9 - at} {name}\n" for q in range(n) for at in (0, 1)]  # fmt: skip
        stored(folder / f"{name}.run", "".join(lines))
    return [folder / f"{name}.run" for name in firsts]


@pytest.mark.parametrize(
    ("is_first", "margin"),
    [(False, ()), (True, ("--margin", "RR@10=0.02"))],
    ids=["1 against .5 in both", "identical, with a margin"],
)
def test_07_two_queries_cannot_tell(
    rankscope: Command, tmp_path: Path, is_first: bool, margin: tuple[str, ...]
) -> None:
    """Before: better, and equivalent, p < .0001."""
    runs = halves(tmp_path, 2, one=lambda q: True, two=lambda q: is_first)
    words = (*runs, "--qrels", tmp_path / "qrels", "--measures", "RR@10", "--json")
    (row,) = json.loads(rankscope("compare", *words, *margin).out)["comparisons"]
    assert (row["n_queries"], abs(row["difference"])) == (2, 0.0 if is_first else 0.5)
    assert row["verdict"] == "cannot tell"


def test_18_many_comparisons_over_few_queries_run_through_no_sign_flips(
    rankscope: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: 40 s, in Wilcoxon's exact form with ties, which scipy has as a permutation test."""

    def flipped(*_: object, **__: object) -> None:
        raise AssertionError("all sign flips")

    monkeypatch.setattr(stats, "permutation_test", flipped)
    runs = halves(tmp_path, 12, **{f"s{at}": lambda q, at=at: (q * at) % 7 < 3 for at in range(28)})  # type: ignore[misc]  # fmt: skip
    words = ("--qrels", tmp_path / "qrels", "--baseline", "s0", "--resamples", 0, "--json")
    rows = json.loads(rankscope("compare", *runs, *words).out)["comparisons"]
    assert len(rows) == 27
    assert all(0 <= row["wilcoxon_p"] <= 1 for row in rows)


# -- 10, 19: measures -----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["evaluate", "compare", "reproduce", "check", "run"])
def test_10_a_measure_without_its_provider_is_one_sentence_at_every_door(
    rankscope: Command, tiny_study: Path, tmp_path: Path, verb: str
) -> None:
    """Before: a ValueError's traceback, and the sentence from a study file alone."""
    one, two = halves(tmp_path, 2, one=lambda q: True, two=lambda q: False)
    files = ("--qrels", tmp_path / "qrels", "--measures", "alpha_nDCG@10")
    study = (tiny_study, "evaluate.measures=[alpha_nDCG@10]", "evaluate.margin={}")
    words = {
        "evaluate": (one, *files),
        "compare": (one, two, *files),
        "reproduce": (one, "--original", two, *files),
        "check": study,
        "run": (*study, "--results", tmp_path / "r"),
    }[verb]
    said = "'alpha_nDCG@10' cannot be computed from qrels and a run with the tools installed here (it needs pyndeval)"
    refused(rankscope(verb, *words), said)


def test_19_options_that_may_be_repeated_add_up(rankscope: Command, tmp_path: Path) -> None:
    """Before: AP only. So do baselines, margins and published means."""
    runs = halves(tmp_path, 3, a=lambda q: True, b=lambda q: q > 0, c=lambda q: False)
    qrels = ("--qrels", tmp_path / "qrels")
    measures = ("--measures", "nDCG@10", "--measures", "AP")
    assert rankscope("evaluate", runs[0], *qrels, *measures).out.startswith("run\tnDCG@10\tAP\n")
    baselines = ("--baseline", "b", "--baseline", "c")
    margins = ("--margin", "nDCG@10=0.1", "--margin", "AP=0.2")
    found = json.loads(rankscope("compare", *runs, *qrels, *measures, *baselines, *margins, "--json").out)  # fmt: skip
    rows = {(row["measure"], row["baseline"]): row["margin"] for row in found["comparisons"]}
    assert rows == {("nDCG@10", "b"): 0.1, ("nDCG@10", "c"): 0.1, ("AP", "b"): 0.2, ("AP", "c"): 0.2}  # fmt: skip
    published = ("--published", "nDCG@10=1.00", "--published", "AP=0.9")
    found = json.loads(rankscope("reproduce", runs[0], *qrels, *measures, *published, "--json").out)
    assert found["published"].keys() == {"nDCG@10", "AP"}


# -- 15, 16: studies ------------------------------------------------------------------------------


def test_15_missing_negatives_are_said_to_be_missing(rankscope: Command, tiny_study: Path) -> None:
    """Before: "`negatives` goes with `labels: qrels`, and with nothing else"."""
    answer = rankscope("check", tiny_study, "rankers.C.samples={labels: qrels}")
    refused(answer, "`negatives` is missing, which `labels: qrels`")
    assert "nothing else" not in answer.err


def test_16_overlapping_parts_of_one_split_are_stopped_with_the_count(
    rankscope: Command, tiny_study: Path, tmp_path: Path
) -> None:
    """Before: no mistakes, and a warning of the doctor."""
    parts = (
        "collections.test.split=train",
        "collections.train.part=[0.4, 1]",
        "collections.test.part=[0, 0.5]",
    )
    refused(rankscope("check", tiny_study, *parts), "1 of 4 queries of test are training queries")
    assert rankscope("doctor", tiny_study, *parts, "--results", tmp_path).code == 1
    levels = [f"rankers.{name}.guards={{test_queries: warn}}" for name in ("C", "C-D")]
    lower = rankscope("check", tiny_study, *parts, *levels)
    assert (lower.code, "no mistakes" in lower.out) == (0, True)
    assert "1 of 4 queries of test are training queries" in lower.err


# -- 20 -------------------------------------------------------------------------------------------


@pytest.fixture
def kept(whole: Path) -> Iterator[Path]:
    """A whole model's folder, as it was again afterwards."""
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    yield whole
    for path, data in before.items():
        path.write_bytes(data)


SPOILT: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "modules.json = []": ("modules.json", lambda _: b"[]"),
    "modules.json = {}": ("modules.json", lambda _: b"{}"),
    "modules.json = null": ("modules.json", lambda _: b"null"),
    "an entry without path": (
        "modules.json",
        lambda data: json.dumps([{"type": each["type"]} for each in json.loads(data)]).encode(),
    ),
    "config.json = [1]": ("config.json", lambda _: b"[1]"),
    "config.json cut short": ("config.json", lambda data: data[: len(data) // 2]),
    '"architectures": 3': (
        "config.json",
        lambda data: json.dumps(json.loads(data) | {"architectures": 3}).encode(),
    ),
    '"max_position_embeddings": "x"': (
        "config.json",
        lambda data: json.dumps(json.loads(data) | {"max_position_embeddings": "x"}).encode(),
    ),
    "safetensors empty": ("model.safetensors", lambda _: b""),
    "safetensors cut short": ("model.safetensors", lambda data: data[: len(data) // 2]),
    "safetensors with a lying header": (
        "model.safetensors",
        lambda data: np.uint64(10**12).tobytes() + data[8:],
    ),
    "tokenizer.json cut short": ("tokenizer.json", lambda data: data[: len(data) // 2]),
}


@pytest.mark.parametrize("what", SPOILT)
def test_20_a_damaged_model_folder_is_one_sentence_that_names_the_file(
    rankscope: Command, tmp_path: Path, kept: Path, what: str
) -> None:
    """Before: tracebacks."""
    name, spoil = SPOILT[what]
    stored(kept / name, spoil((kept / name).read_bytes()))
    data = collection(tmp_path / "data", DOCS, QUERY)
    answer = rankscope("search", kept, "--collection", data, "--out", tmp_path / "o.run")
    refused(answer, str(kept / name))
    assert not (tmp_path / "o.run").exists()


def test_20_the_same_folder_unspoilt_searches(
    rankscope: Command, tmp_path: Path, kept: Path
) -> None:
    data = collection(tmp_path / "data", DOCS, QUERY)
    words = (kept, "--collection", data, "--out", tmp_path / "o.run")
    assert rankscope("search", *words).code == 0


def test_17_a_missing_file_is_named_by_text_as_by_path() -> None:
    for read in (front.read_run, front.read_qrels):
        with pytest.raises(BadInput, match="none: there is no such file"):
            read("none")
