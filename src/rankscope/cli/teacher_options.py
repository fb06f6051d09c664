"""Options of `rankscope teacher`: the model, the docs, the prompt, the order, the server and the money."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankscope.core.errors import BadInput, listed
from rankscope.options import COLLECTION, FIRST_STAGE, MODEL, Depth, Split

if TYPE_CHECKING:
    from rankscope.llm.costs import Prices
    from rankscope.llm.server.terms import Paid, Served
    from rankscope.llm.settings import AskChoices
    from rankscope.verbs.asking.prepared import AskedAbout

PROMPT, ORDER, SERVER, MONEY = "Prompt", "Order of the docs", "Server", "Money"
"""Headings of `--help`."""


@dataclass(frozen=True)
class AskedModel:
    """The model, and how it answers."""

    model: Annotated[
        str,
        typer.Option("--model", help="The model's name on the server.", rich_help_panel=MODEL),
    ]
    temperature: Annotated[
        float,
        typer.Option("--temperature", min=0, max=2, help="0 is greedy.", rich_help_panel=MODEL),
    ] = 0.0
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            min=1,
            help="Tokens of an answer, at most (10 a doc and 50, if left out). A model that thinks before it answers needs more.",
            rich_help_panel=MODEL,
        ),
    ] = None
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            help="NAME=VALUE: a further field of each request, its value as JSON or text; null leaves a field out. May be repeated.",
            rich_help_panel=MODEL,
        ),
    ] = None

    @property
    def fields(self) -> dict[str, Any]:
        """The further fields by name."""
        return _fields(self.field or ())


@dataclass(frozen=True)
class AskedDocs:
    """The docs that are shown, and their texts."""

    run_file: Annotated[
        Path,
        typer.Option(
            "--run",
            help="The run whose docs are ordered, or RankGPT's JSON lines of queries and docs.",
            rich_help_panel=FIRST_STAGE,
        ),
    ]
    collection: Annotated[
        str,
        typer.Option(
            "--collection",
            help="A folder in BEIR layout, public:NAME of `rankscope data`, or an ir_datasets id, that has the texts.",
            rich_help_panel=COLLECTION,
        ),
    ]
    depth: Depth = 100
    split: Split = "test"


@dataclass(frozen=True)
class Prompting:
    """What a prompt says, and how long its passages are."""

    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt",
            help="rankgpt, rankvicuna, rankzephyr, setwise, pairwise, or a jinja2 file of your own; the way's own, if left out.",
            rich_help_panel=PROMPT,
        ),
    ] = None
    passage_words: Annotated[
        int | None,
        typer.Option(
            "--passage-words",
            min=1,
            help="Words of a passage, at most (300, if left out, as RankGPT's).",
            rich_help_panel=PROMPT,
        ),
    ] = None
    passage_tokens: Annotated[
        int | None,
        typer.Option(
            "--passage-tokens",
            min=1,
            help="Tokens of a passage, at most, instead; needs --tokenizer.",
            rich_help_panel=PROMPT,
        ),
    ] = None
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            "--tokenizer",
            help="The model's tokenizer.json or its folder: tokens are then counted, not estimated.",
            rich_help_panel=PROMPT,
        ),
    ] = None


@dataclass(frozen=True)
class Ordering:
    """How docs are put in order."""

    way: Annotated[
        str,
        typer.Option(
            "--way",
            help="listwise (sliding windows), setwise, pairwise (heap sorts) or pairwise_sliding.",
            rich_help_panel=ORDER,
        ),
    ] = "listwise"
    window: Annotated[
        int | None,
        typer.Option(
            "--window",
            min=2,
            help="Docs shown at once (listwise 20, setwise 3, if left out); 100 shows a whole list.",
            rich_help_panel=ORDER,
        ),
    ] = None
    step: Annotated[
        int | None,
        typer.Option(
            "--step",
            min=1,
            help="Docs by which a window moves up (half a window, if left out).",
            rich_help_panel=ORDER,
        ),
    ] = None
    passes: Annotated[
        int | None,
        typer.Option(
            "--passes", min=1, help="Passes of the windows over the list.", rich_help_panel=ORDER
        ),
    ] = None
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            min=1,
            help="Docs that setwise and pairwise find (10, if left out); the others keep their order.",
            rich_help_panel=ORDER,
        ),
    ] = None
    order: Annotated[
        str,
        typer.Option(
            "--order",
            help="The order in which docs are shown at first: initial or shuffled.",
            rich_help_panel=ORDER,
        ),
    ] = "initial"
    orders: Annotated[
        int,
        typer.Option(
            "--orders",
            min=1,
            help="Shuffled orders, whose lists are joined into one.",
            rich_help_panel=ORDER,
        ),
    ] = 1
    seed: Annotated[
        int,
        typer.Option("--seed", min=0, help="Seed of the shuffled orders.", rich_help_panel=ORDER),
    ] = 0
    malformed: Annotated[
        str,
        typer.Option(
            "--malformed",
            help="How an answer becomes an order: repair, or repair_as_published (as RankGPT: every number is an id).",
            rich_help_panel=ORDER,
        ),
    ] = "repair"


@dataclass(frozen=True)
class Serving:
    """The server, and how it is asked."""

    endpoint: Annotated[
        str,
        typer.Option(
            "--endpoint",
            help="A server of OpenAI's interface: https://api.openai.com/v1, http://localhost:8000/v1.",
            rich_help_panel=SERVER,
        ),
    ]
    key_env: Annotated[
        str,
        typer.Option(
            "--key-env",
            help="The variable of the environment that holds the key; it is written nowhere.",
            rich_help_panel=SERVER,
        ),
    ] = "OPENAI_API_KEY"
    parallel: Annotated[
        int,
        typer.Option(
            "--parallel",
            min=1,
            max=1000,
            help="Requests beside each other, of different queries.",
            rich_help_panel=SERVER,
        ),
    ] = 8
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", min=0.1, help="Seconds to wait for an answer.", rich_help_panel=SERVER
        ),
    ] = 120.0
    retries: Annotated[
        int,
        typer.Option(
            "--retries",
            min=0,
            help="Further attempts for a request that is refused for now, breaks off or takes too long.",
            rich_help_panel=SERVER,
        ),
    ] = 7

    @property
    def served(self) -> "Served":
        """The server, and how it is asked."""
        from rankscope.llm.server.terms import Patience, Served

        patience = Patience(attempts=self.retries + 1)
        return Served(self.endpoint, self.key_env, self.parallel, self.timeout, patience)


PriceIn = Annotated[
    float,
    typer.Option(
        "--price-in", min=0, help="Money for a million tokens of prompts.", rich_help_panel=MONEY
    ),
]
PriceOut = Annotated[
    float,
    typer.Option(
        "--price-out", min=0, help="Money for a million tokens of answers.", rich_help_panel=MONEY
    ),
]


@dataclass(frozen=True)
class Priced:
    """The prices."""

    price_in: PriceIn = 0.0
    price_out: PriceOut = 0.0

    @property
    def prices(self) -> "Prices":
        """The prices of tokens."""
        from rankscope.llm.costs import Prices

        return Prices(self.price_in, self.price_out)


@dataclass(frozen=True)
class Paying:
    """The prices, and what may be spent."""

    price_in: PriceIn = 0.0
    price_out: PriceOut = 0.0
    budget: Annotated[
        float | None,
        typer.Option(
            "--budget",
            min=0,
            help="Money for the whole file of answers: before it would be passed, asking ends.",
            rich_help_panel=MONEY,
        ),
    ] = None
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Tell requests, tokens and money, and send nothing.",
            rich_help_panel=MONEY,
        ),
    ] = False

    @property
    def paid(self) -> "Paid":
        """The prices and the budget."""
        from rankscope.llm.costs import Prices
        from rankscope.llm.server.terms import Paid

        return Paid(Prices(self.price_in, self.price_out), self.budget)


def _fields(given: Sequence[str]) -> dict[str, Any]:
    """Fields of a request as they are typed; BadInput for one without a value."""
    import json

    from rankscope.llm.settings import OWN_FIELDS

    fields: dict[str, Any] = {}
    for words in given:
        name, equals, value = words.partition("=")
        if not equals or not name or name in OWN_FIELDS:
            raise BadInput(
                f"--field {words}: give NAME=VALUE, for another field than {listed(sorted(OWN_FIELDS))}."
            )
        try:
            fields[name] = json.loads(value)
        except ValueError:
            fields[name] = value
    return fields


def choices_of(
    model: AskedModel, asked: AskedDocs, prompting: Prompting, ordering: Ordering
) -> "AskChoices":
    """The choices that the options make."""
    from rankscope.llm.settings import AskChoices

    return AskChoices(
        model=model.model,
        way=ordering.way,
        prompt=prompting.prompt,
        window=ordering.window,
        step=ordering.step,
        passes=ordering.passes,
        top=ordering.top,
        order=ordering.order,
        orders=ordering.orders,
        seed=ordering.seed,
        depth=asked.depth,
        passage_words=prompting.passage_words,
        passage_tokens=prompting.passage_tokens,
        malformed=ordering.malformed,
        temperature=model.temperature,
        max_tokens=model.max_tokens,
        fields=model.fields,
    )


def about_of(asked: AskedDocs, prompting: Prompting) -> "AskedAbout":
    """The docs that are asked about, and their texts."""
    from rankscope.verbs.asking.prepared import AskedAbout

    return AskedAbout(asked.run_file, asked.collection, asked.split, prompting.tokenizer)
