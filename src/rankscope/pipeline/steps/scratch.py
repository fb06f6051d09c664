"""The step of a backbone from nothing: its vocabulary, its pre-training, and what it then knows of facts."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from torch import nn

from rankscope.core.records import Fact
from rankscope.core.rng import seed_for
from rankscope.data.collections import StoredDocs
from rankscope.data.facts import Mentions, clozes, read_facts
from rankscope.data.world.knowing import knowing_world
from rankscope.explain.knowledge import cloze
from rankscope.models import backbone, scratch
from rankscope.pipeline.plans.data import FactsParams
from rankscope.pipeline.plans.rankers import ScratchParams
from rankscope.pipeline.spec.collections import WorldFactsSpec
from rankscope.pipeline.spec.rankers import ScratchSpec
from rankscope.pipeline.steps.train import write_log
from rankscope.pipeline.work import Summary, Work
from rankscope.train.dropout import set_dropout
from rankscope.train.guards import Watch
from rankscope.train.loop import fit
from rankscope.train.objectives.pretraining import MaskedLanguageObjective
from rankscope.train.recipe import Recipe


def facts_of(params: FactsParams) -> list[Fact]:
    """The facts that a part of a study names; of a world, those of its aliases too."""
    spec = params.spec
    if isinstance(spec, WorldFactsSpec):
        world = knowing_world(spec.seed, people=spec.people, groups=spec.groups)
        return [*world.facts, *world.aliases]
    return read_facts(params.files[0])


def scratch_backbone(work: Work) -> Summary:
    """A small BERT, pre-trained on the docs, and asked for the facts that it is to know."""
    params = work.params(ScratchParams)
    chosen = params.spec
    stored = StoredDocs(work.folder("docs"))
    pieces = scratch.vocabulary((doc.text for doc in stored), chosen.vocabulary)
    tokenizer = scratch.tokenizer(pieces, chosen.max_length)
    model = scratch.masked_language_model(
        len(pieces),
        layers=chosen.layers,
        width=chosen.width,
        heads=chosen.heads,
        max_length=chosen.max_length,
        seed=seed_for(params.seed, "scratch"),
    )
    facts = () if params.facts is None else facts_of(params.facts)
    mentions = Mentions(facts)
    watch = Watch(chosen.guards, progress=work.progress, label=work.step.label)
    summary: Summary = {"n_pieces": len(pieces)}
    if chosen.updates:
        salient = mentions if facts and chosen.whole_objects else None
        summary |= _pretrained(work, model, tokenizer, stored, salient, watch)
    if facts:
        summary |= _asked(work, model, tokenizer, facts, mentions, stored, watch)
    if work.processes.is_first:
        with backbone.quiet():
            model.save_pretrained(work.out / "model")
            tokenizer.save_pretrained(work.out / "model")
    return summary | ({"guards": watch.findings} if watch.findings else {})


def n_updates(chosen: ScratchSpec, n_docs: int) -> int:
    """Updates of a pre-training: as many as said, or as read every doc as often as said."""
    if chosen.passes is None:
        return chosen.updates
    return math.ceil(chosen.passes * n_docs / chosen.docs_per_update)


def _pretrained(
    work: Work,
    model: nn.Module,
    tokenizer: Any,
    stored: StoredDocs,
    salient: Mentions | None,
    watch: Watch,
) -> Summary:
    """Pre-train the model in place on the docs."""
    params = work.params(ScratchParams)
    chosen, doc_ids = params.spec, [doc.doc_id for doc in stored]
    if chosen.dropout is not None:
        set_dropout(model, chosen.dropout)
    objective = MaskedLanguageObjective(
        tokenizer=tokenizer,
        n_docs=len(doc_ids),
        text=lambda place: stored.text(doc_ids[place]),
        docs_per_update=chosen.docs_per_update,
        max_length=chosen.max_length,
        seed=params.seed,
        predicted=chosen.predicted,
        salient=None if salient is None else cache(salient.objects),
    )
    recipe = Recipe(
        max_updates=n_updates(chosen, len(doc_ids)),
        learning_rate=chosen.learning_rate,
        seed=seed_for(params.seed, "scratch"),
        schedule="linear",
        warmup=0.1,
        weight_decay=chosen.weight_decay,
        clip_norm=1.0,
        precision="auto",
        checkpoint_every=chosen.checkpoint_every,
    )
    trained = fit(
        model,
        objective,
        recipe,
        checkpoints=work.checkpoints,
        progress=work.progress,
        label=f"pre-train {work.step.label}",
        watch=watch,
    )
    if work.processes.is_first:
        write_log(work.out, trained)
    return {"updates": recipe.max_updates, "last_loss": trained.log[-1]["loss"]}


def _asked(
    work: Work,
    model: nn.Module,
    tokenizer: Any,
    facts: Sequence[Fact],
    mentions: Mentions,
    stored: StoredDocs,
    watch: Watch,
) -> Summary:
    """What the model knows of the facts, by what the docs show of them."""
    chosen = work.params(ScratchParams).spec
    shown = mentions.shown(doc.text for doc in stored)
    found = cloze.guesses(model, tokenizer, list(clozes(facts, shown)))
    forms = cloze.by_form(found)
    watch.tell("unknown_facts", cloze.unknown(found))
    return {
        "n_facts": len(facts),
        "n_facts_stated": len(shown.stated),
        "passes": n_updates(chosen, len(stored)) * chosen.docs_per_update / len(stored),
        "n_docs_of_a_fact": shown.n_docs / max(1, len(shown.stated)),
        "cloze": {form: accuracy.as_plain() for form, accuracy in forms.items()},
        "cloze_by_template": [
            {"relation": relation, "template": template, "form": form, **accuracy.as_plain()}
            for (relation, template, form), accuracy in cloze.by_template(found).items()
        ],
    }
