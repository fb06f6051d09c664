"""What is asked of an LLM: the choices a person makes, and the question they settle, which names a file of answers."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadInput, choose
from rankscope.llm.prompts import PROMPTS, own_prompt
from rankscope.llm.ways import WAYS

ORDERS = ("initial", "shuffled")
MALFORMED = ("repair", "repair_as_published")
"""How an answer becomes an order when the next question depends on it; see `data.permutations`."""
OWN_FIELDS = frozenset({"messages", "model", "stream", "n"})
"""Fields of a request that nobody else may set."""
MOST_ORDERS = 100
Named = Callable[[str], str]
"""How a person wrote a choice: as an option of a command, or as a field of a study file."""


def as_option(choice: str) -> str:
    """A choice as an option of a command."""
    return f"--{choice.replace('_', '-')}"


def as_field(choice: str) -> str:
    """A choice as a field of a study file."""
    return f"`{'fields' if choice == 'field' else choice}`"


@dataclass(frozen=True)
class AskChoices:
    """The choices of a person; None where the way's or the prompt's own value is meant."""

    model: str
    way: str = "listwise"
    prompt: str | None = None
    """A published prompt's name, or the path of a jinja2 file."""
    window: int | None = None
    step: int | None = None
    passes: int | None = None
    top: int | None = None
    order: str = "initial"
    orders: int = 1
    seed: int = 0
    depth: int = 100
    passage_words: int | None = None
    passage_tokens: int | None = None
    malformed: str = "repair"
    temperature: float = 0.0
    max_tokens: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of each request; None leaves one out."""


@dataclass(frozen=True)
class Asking:
    """A settled question: all that could change an answer, but the texts and the server."""

    model: str
    way: str
    prompt: str
    template: str
    """The prompt's jinja2 template."""
    window: int
    step: int
    passes: int
    top: int
    order: str
    orders: int
    seed: int
    depth: int
    passage_words: int | None
    passage_tokens: int | None
    malformed: str
    temperature: float
    max_tokens: int
    fields: Mapping[str, Any]

    @property
    def identity(self) -> dict[str, Any]:
        """The question as plain data."""
        return asdict(self)


def asking_of(identity: Mapping[str, Any]) -> Asking:
    """The question that `identity` tells; TypeError where a field is missing or unknown."""
    return Asking(**identity)


def settled(choices: AskChoices, named: Named = as_option) -> Asking:
    """The question that the choices settle. BadInput for those that do not go together."""
    way = choose(WAYS, choices.way, what="way of asking")
    choose(dict.fromkeys(ORDERS), choices.order, what="order of docs")
    choose(dict.fromkeys(MALFORMED), choices.malformed, what="way with malformed answers")
    name = choices.prompt or way.prompt
    prompt = PROMPTS[name] if name in PROMPTS else own_prompt(Path(name), way.kind)
    if prompt.kind != way.kind:
        fitting = ", ".join(each for each, other in PROMPTS.items() if other.kind == way.kind)
        raise BadInput(
            f"{named('prompt')} {name}: it asks for {prompt.kind}, and {named('way')} {choices.way} for {way.kind}. Give {fitting}, or "
            "a file of your own."
        )
    window = choices.window or way.window
    step = choices.step or max(1, window // 2)
    _require_ways_own(choices, window, step, named)
    if choices.passage_words is not None and choices.passage_tokens is not None:
        either = f"{named('passage_words')} or {named('passage_tokens')}"
        raise BadInput(f"Passages are cut after {either}, not both.")
    words = choices.passage_words
    if words is None and choices.passage_tokens is None:
        words = prompt.words_for(window)
    return Asking(
        model=choices.model,
        way=choices.way,
        prompt=name if name in PROMPTS else Path(name).name,
        template=prompt.template,
        window=window,
        step=step,
        passes=choices.passes or 1,
        top=choices.top or way.top,
        order=choices.order,
        orders=choices.orders,
        seed=choices.seed if choices.order == "shuffled" else 0,
        depth=choices.depth,
        passage_words=words,
        passage_tokens=choices.passage_tokens,
        malformed=choices.malformed,
        temperature=choices.temperature,
        max_tokens=choices.max_tokens or way.max_tokens(window),
        fields=dict(choices.fields),
    )


def _require_ways_own(choices: AskChoices, window: int, step: int, named: Named) -> None:
    """BadInput for an option that the way does not have, or that leaves nothing to ask."""
    way = WAYS[choices.way]
    given = {"step": choices.step, "passes": choices.passes, "top": choices.top}
    for name, value in given.items():
        if value is not None and name not in way.options:
            has = [each for each, other in WAYS.items() if name in other.options]
            raise BadInput(
                f"{named(name)} is of {named('way')} {' and '.join(has)}; {choices.way} has none. Leave it out."
            )
    if step > window:
        raise BadInput(
            f"Windows of {window} that move by {step} leave docs out. Give a {named('step')} that is not larger than {named('window')}."
        )
    if not way.smallest <= window <= way.largest:
        raise BadInput(
            f"{named('window')} {window}: {choices.way} shows from {way.smallest} to {way.largest} docs at once."
        )
    if choices.orders > 1 and choices.order == "initial":
        raise BadInput(
            f"{named('orders')} {choices.orders}: the initial order is one. Several are drawn with {named('order')} shuffled."
        )
    if choices.orders > MOST_ORDERS:
        raise BadInput(f"{named('orders')} {choices.orders}: {MOST_ORDERS} are the most.")
