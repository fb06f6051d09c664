"""Commands that look inside models."""

import json
from typing import Annotated

import typer

from rankscope.cli.options import (
    AsCsv,
    AsJson,
    AsLatex,
    BaselineModels,
    Collection,
    Depth,
    Language,
    Models,
    PoolingOfBare,
    Revision,
    Split,
    Written,
    above_zero,
)
from rankscope.cli.printing import form_of, print_in_form, print_notes, print_text, say
from rankscope.cli.program import app
from rankscope.core.errors import BadInput

SEED = 42
"""Of the examples of probes, and of what they are held against."""


@app.command()
def probe(
    models: Models,
    collection: Collection,
    train_collection: Annotated[
        str | None,
        typer.Option(
            "--train-collection",
            help="Whose queries the probes are trained on, if others'; same docs.",
        ),
    ] = None,
    train_split: Annotated[
        str, typer.Option("--train-split", help="Which qrels the probes are trained on.")
    ] = "train",
    split: Split = "test",
    pooling: PoolingOfBare = None,
    baseline: BaselineModels = None,
    at_random: Annotated[
        bool,
        typer.Option("--random", help="Also the first model's architecture with random weights."),
    ] = False,
    mlp: Annotated[
        bool, typer.Option("--mlp", help="Also a small MLP, as an upper bound.")
    ] = False,
    as_published: Annotated[
        bool,
        typer.Option("--as-published", help="Study A's linear probe and test, with a control."),
    ] = False,
    candidates: Annotated[
        str, typer.Option("--candidates", help="Docs among which the relevant one is to be found.")
    ] = "2 3 4 5",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Fits of every probe.")] = 3,
    rank: Annotated[int, typer.Option("--rank", min=1, help="Of the bilinear form.")] = 32,
    depth: Depth = 100,
    language: Language = None,
    margin: Annotated[
        float,
        typer.Option(
            "--margin",
            callback=above_zero,
            help="The difference in accuracy below which layers are equivalent.",
        ),
    ] = 0.02,
    revision: Revision = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    as_latex: AsLatex = False,
    out: Written = None,
) -> None:
    """Probe what each layer of rankers knows of relevance, with controls and verdicts."""
    from rankscope import terminal
    from rankscope.analyses.probes import command as probes_command
    from rankscope.analyses.probes import results as probing
    from rankscope.analyses.probes import words
    from rankscope.analyses.probes.plan import AT_RANDOM, ChoicesParams, ProbeParams
    from rankscope.analyses.probes.spec import ProbesSpec
    from rankscope.core.rng import seed_for
    from rankscope.data import collections
    from rankscope.models import opening
    from rankscope.pipeline.spec.fields import spec_of
    from rankscope.report.page import plain_csv, plain_tex
    from rankscope.retrieve.analyzer import ENGLISH

    form = form_of(out, json=as_json, csv=as_csv, latex=as_latex)
    learnt = train_collection or collection
    spec = spec_of(
        ProbesSpec,
        examples={"over": collection, "train": learnt, "from": "bm25", "depth": depth},
        candidates=probes_command.numbers(candidates),
        fits=seeds,
        rank=rank,
        mlp=mlp and not as_published,
        method="as_published" if as_published else "sound",
        margin=margin,
    )
    choices = ChoicesParams(spec.examples, max(spec.ns), SEED)
    train = collections.source(learnt, train_split)
    rankers = opening.opened(models, revision=revision, pooling=pooling)
    if at_random:
        rankers[AT_RANDOM] = next(iter(rankers.values())).at_random(
            seed=seed_for(1, "random weights")
        )
    bars = terminal.progress()
    given = probes_command.examples(
        train, collections.source(collection, split), choices, bars, language=language or ENGLISH
    )
    found = probing.as_json(
        probes_command.probe(
            rankers,
            given,
            ProbeParams(spec, SEED),
            baselines=baseline or [next(iter(rankers))],
            progress=bars,
        )
    )
    n = max(spec.ns)
    if form == "json":
        print_text(json.dumps({**found, "in_words": words.in_words(found)}, allow_nan=False), out)
    elif form == "csv":
        print_text(plain_csv(*words.full_rows(found)), out)
    elif form == "latex":
        print_text(plain_tex(*words.layer_table(found, n)), out)
    else:
        terminal.show_table(
            f"{len(given.test)} examples, {n} docs each", *words.layer_table(found, n)
        )
        for sentence in words.in_words(found):
            say(sentence)
    print_notes(list(found["notes"]))


@app.command()
def diff(
    before: Annotated[
        str,
        typer.Argument(
            metavar="BEFORE",
            help="A ranker: a folder or hub id; NAME=MODEL names it.",
            show_default=False,
        ),
    ],
    after: Annotated[
        str,
        typer.Argument(
            metavar="AFTER", help="One of the same lineage, as tuned from it.", show_default=False
        ),
    ],
    collection: Collection,
    split: Split = "test",
    pooling: PoolingOfBare = None,
    queries: Annotated[
        int, typer.Option("--queries", min=2, help="Judged queries drawn at most.")
    ] = 100,
    depth: Annotated[
        int, typer.Option("--depth", min=2, help="Docs of BM25 that both re-rank.")
    ] = 20,
    language: Language = None,
    texts: Annotated[
        int,
        typer.Option(
            "--texts", min=20, help="States compared at most: of queries and docs, or pairs."
        ),
    ] = 500,
    neighbours: Annotated[
        int, typer.Option("--neighbours", min=1, help="Nearest texts that may be shared.")
    ] = 10,
    heads: Annotated[
        bool,
        typer.Option("--heads", help="Also fit heads anew on both encoders: who lost what."),
    ] = False,
    train_collection: Annotated[
        str | None,
        typer.Option(
            "--train-collection", help="Whose queries heads are fitted on, if others'; same docs."
        ),
    ] = None,
    train_split: Annotated[
        str, typer.Option("--train-split", help="Which qrels heads are fitted on.")
    ] = "train",
    measure: Annotated[
        str, typer.Option("--measure", help="Of the heads' runs; a name of ir_measures.")
    ] = "nDCG@10",
    margin: Annotated[
        float,
        typer.Option(
            "--margin",
            callback=above_zero,
            help="The difference in it below which two are equivalent.",
        ),
    ] = 0.02,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of what is drawn.")] = 42,
    revision: Revision = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    as_latex: AsLatex = False,
    out: Written = None,
) -> None:
    """Show what moved between two rankers, layer by layer: weights, states, neighbours, rankings."""
    from rankscope import terminal
    from rankscope.analyses.changes import command as verbs
    from rankscope.analyses.changes import words
    from rankscope.analyses.changes.plan import ChangeParams, HeadsParams
    from rankscope.analyses.changes.spec import ChangesSpec, HeadsSpec
    from rankscope.data import collections
    from rankscope.data.conventions import convention
    from rankscope.evaluate.measures import computable, with_relevance_level
    from rankscope.pipeline.spec.fields import spec_of
    from rankscope.retrieve.analyzer import ENGLISH

    form = form_of(out, json=as_json, csv=as_csv, latex=as_latex)
    computable(measure)
    if neighbours >= texts:
        raise BadInput(
            f"--neighbours {neighbours}: among --texts {texts} a text has {texts - 1} others. Give fewer neighbours, "
            "or more texts."
        )
    usual = convention(collection)
    spec = spec_of(
        ChangesSpec, over=collection, first_stage="bm25", texts=texts, neighbours=neighbours
    )
    source = collections.source(collection, split)
    anew = None
    if heads:
        learnt = train_collection or collection
        params = HeadsParams(
            spec_of(HeadsSpec, train=learnt),
            depth=depth,
            measure=with_relevance_level(measure, usual.relevance_level),
            margin=margin,
            convention=usual,
            train_convention=convention(learnt),
            seed=seed,
        )
        anew = verbs.Heads(collections.source(learnt, train_split), params)
    pair = verbs.opened([before, after], revision=revision, pooling=pooling)
    found = verbs.diff(
        pair,
        source,
        ChangeParams(spec, depth, usual.drop_own_docs, seed),
        queries=queries,
        heads=anew,
        language=language or ENGLISH,
        progress=terminal.progress(),
    )
    told = [*words.in_words(found), words.CAVEAT]
    table = words.layer_table(found)
    if not print_in_form(form, out, found, told, words.full_rows([found]), table):
        title = f"{found['after']} against {found['before']}, {collection}"
        terminal.show_table(title, *table)
        if found["heads"]:
            terminal.show_table(found["heads"]["measure"], *words.head_table(found))
        for sentence in told:
            say(sentence)
    print_notes([*found["notes"], *(found["heads"]["notes"] if found["heads"] else [])])


@app.command()
def attribute(
    models: Models,
    collection: Collection,
    split: Split = "test",
    pooling: PoolingOfBare = None,
    baseline: BaselineModels = None,
    as_published: Annotated[
        bool, typer.Option("--as-published", help="Study A's target and sums, with warnings.")
    ] = False,
    path: Annotated[
        str | None,
        typer.Option("--path", help="What is scaled from 0: activations (if left out) or weights."),
    ] = None,
    nodes: Annotated[
        int | None,
        typer.Option(
            "--nodes", min=1, help="Points of the path where gradients are taken (8, if left out)."
        ),
    ] = None,
    examples: Annotated[
        int, typer.Option("--examples", min=2, help="Queries, each with two docs.")
    ] = 50,
    ablate: Annotated[
        bool | None,
        typer.Option(help="Whether to switch neurons off, as a check (yes, if left out)."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            help="Between 0 and 1: share of an example's largest value above which a neuron is active (0.1, if left out; as published "
            "0.01 for LLaMA, Mistral and Qwen).",
        ),
    ] = None,
    margin: Annotated[
        float,
        typer.Option(
            "--margin",
            callback=above_zero,
            help="The difference in Gini coefficients below which two are equivalent.",
        ),
    ] = 0.02,
    depth: Depth = 100,
    language: Language = None,
    memory: Annotated[
        float, typer.Option("--memory", min=0.01, help="Gigabytes for gradients.")
    ] = 2.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of what is drawn.")] = 42,
    revision: Revision = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    as_latex: AsLatex = False,
    out: Written = None,
) -> None:
    """Show through which neurons rankers prefer a relevant doc, with what the numbers miss."""
    from rankscope import terminal
    from rankscope.analyses.attribution import command as verbs
    from rankscope.analyses.attribution import words
    from rankscope.analyses.attribution.plan import AttributeParams
    from rankscope.analyses.attribution.spec import AttributionSpec
    from rankscope.data import collections
    from rankscope.models import opening
    from rankscope.pipeline.spec.fields import spec_of
    from rankscope.retrieve.analyzer import ENGLISH

    form = form_of(out, json=as_json, csv=as_csv, latex=as_latex)
    given = {"--path": path, "--nodes": nodes, "--ablate": ablate}
    asked = [name for name, value in given.items() if value is not None]
    if as_published and asked:
        raise BadInput(
            f"{', '.join(asked)}: --as-published takes 20 steps over the weights and switches nothing off. Leave the "
            "one or the other out."
        )
    chosen = {"path": path, "nodes": nodes, "ablate": ablate, "threshold": threshold}
    spec = spec_of(
        AttributionSpec,
        over=collection,
        first_stage="bm25",
        method="as_published" if as_published else "sound",
        examples=examples,
        depth=depth,
        margin=margin,
        memory=memory,
        **{name: value for name, value in chosen.items() if value is not None},
    )
    source = collections.source(collection, split)
    rankers = opening.opened(models, revision=revision, pooling=pooling)
    found = verbs.attribute(
        rankers,
        source,
        AttributeParams(spec, None, seed),
        baselines=baseline or [next(iter(rankers))],
        language=language or ENGLISH,
        progress=terminal.progress(),
    )
    told, table = words.in_words(found), words.layer_table(found)
    if not print_in_form(form, out, found, told, words.full_rows(found), table):
        terminal.show_table(f"{found['n_examples']} examples", *table)
        if found["comparisons"]:
            terminal.show_table("How concentrated", *words.comparison_table(found))
            terminal.show_table("The same neurons", *words.overlap_table(found))
        for sentence in told:
            say(sentence)
    print_notes(list(found["notes"]))
