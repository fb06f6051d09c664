"""Prompts as they were published, and a person's own: jinja2 templates, rendered in a sandbox.

A template calls `system`, `user` and `assistant` for a message each; one that calls none is the text of one user's
message. It sees `query`, `num` (how many passages there are) and `passages`, each with `number` (from 1), `label` (from A)
and `text`:

    {% call system() %}You rank passages.{% endcall %}
    {% call user() %}{% for passage in passages %}[{{ passage.number }}] {{ passage.text }}
    {% endfor %}Rank them for the query {{ query }}, best first, as in [2] > [1].{% endcall %}

| prompt | published in |
|---|---|
| `rankgpt` | RankGPT (Sun et al. 2023), `rank_gpt.py` of sunnweiwei/RankGPT: a chat, a passage a turn |
| `rankvicuna` | RankVicuna (Pradeep et al. 2023), `rank_listwise_os_llm.py` of castorini/rank_llm: one message |
| `rankzephyr` | RankZephyr (Pradeep et al. 2023), the same file: a system's message, and another example |
| `setwise` | Zhuang et al. 2024, `setwise.py` of ielab/llm-rankers, as it asks OpenAI's models |
| `pairwise` | PRP (Qin et al. 2024), in the words of `pairwise.py` of ielab/llm-rankers |

Where those programs differ from these: RankGPT's writes `Title: ... Content: ...` where a passage has a title, which here
is the beginning of its text, and shortens passages until the prompt fits into 4,096 tokens; RankLLM's mends broken Unicode
(ftfy); the setwise paper's cuts passages after 128 tokens of the model, for which there is `--passage-tokens`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rankscope.core.errors import BadInput
from rankscope.core.lines import read_bytes
from rankscope.llm.ways import AN_ORDER, LABELS, THE_BEST

if TYPE_CHECKING:
    from jinja2 import Template

Messages = list[dict[str, str]]
"""`role` and `content` of each, as OpenAI's interface takes them."""


@dataclass(frozen=True)
class Prompt:
    """A prompt: what it asks for, its template, and how long a passage of it is."""

    kind: str
    template: str
    words: int = 300
    """Words of a passage, at most, in a window of 20 docs."""
    is_shared: bool = False
    """Whether larger windows have shorter passages, so that all windows are as long."""

    def words_for(self, window: int) -> int:
        """Words of a passage, at most, in a window of so many docs."""
        return max(1, self.words * 20 // window) if self.is_shared else self.words


_RANK_GPT = """\
{% call system() %}You are RankGPT, an intelligent assistant that can rank passages based on their relevancy to the query.{% endcall %}
{% call user() %}I will provide you with {{ num }} passages, each indicated by number identifier []. \nRank the passages based on their relevance to query: {{ query }}.{% endcall %}
{% call assistant() %}Okay, please provide the passages.{% endcall %}
{% for passage in passages %}
{% call user() %}[{{ passage.number }}] {{ passage.text }}{% endcall %}
{% call assistant() %}Received passage [{{ passage.number }}].{% endcall %}
{% endfor %}
{% call user() %}Search Query: {{ query }}. \nRank the {{ num }} passages above based on their relevance to the search query. The passages should be listed in descending order using identifiers. The most relevant passages should be listed first. The output format should be [] > [], e.g., [20] > [19]. Only response the ranking results, do not say any word or explain.{% endcall %}
"""

_ONE_MESSAGE = """\
{% call user() %}I will provide you with {{ num }} passages, each indicated by a numerical identifier []. Rank the passages based on their relevance to the search query: {{ query }}.

{% for passage in passages %}
[{{ passage.number }}] {{ passage.text | without_ids }}
{% endfor %}
Search Query: {{ query }}.
Rank the {{ num }} passages above based on their relevance to the search query. All the passages should be included and listed using identifiers, in descending order of relevance. The output format should be [] > [], e.g., EXAMPLE, Only respond with the ranking results, do not say any word or explain.{% endcall %}
"""

_ZEPHYR = "{% call system() %}You are RankLLM, an intelligent assistant that can rank passages based on their relevancy to the query{% endcall %}\n"

_SETWISE = """\
{% call system() %}You are RankGPT, an intelligent assistant specialized in selecting the most relevant passage from a pool of passages based on their relevance to the query.{% endcall %}
{% call user() %}Given a query "{{ query }}", which of the following passages is the most relevant one to the query?

{% for passage in passages %}
Passage {{ passage.label }}: "{{ passage.text }}"

{% endfor %}
Output only the passage label of the most relevant passage.{% endcall %}
"""

_PAIRWISE = """\
{% call system() %}You are RankGPT, an intelligent assistant specialized in selecting the most relevant passage from a pair of passages based on their relevance to the query.{% endcall %}
{% call user() %}Given a query "{{ query }}", which of the following two passages is more relevant to the query?

Passage A: "{{ passages[0].text }}"

Passage B: "{{ passages[1].text }}"

Output Passage A or Passage B:{% endcall %}
"""

PROMPTS: dict[str, Prompt] = {
    "rankgpt": Prompt(AN_ORDER, _RANK_GPT),
    "rankvicuna": Prompt(AN_ORDER, _ONE_MESSAGE.replace("EXAMPLE", "[4] > [2]"), is_shared=True),
    "rankzephyr": Prompt(
        AN_ORDER, _ZEPHYR + _ONE_MESSAGE.replace("EXAMPLE", "[2] > [1]"), is_shared=True
    ),
    "setwise": Prompt(THE_BEST, _SETWISE),
    "pairwise": Prompt(THE_BEST, _PAIRWISE),
}


def own_prompt(path: Path, kind: str) -> Prompt:
    """A person's own prompt out of a jinja2 file. BadInput for a file that is none, or shows no passage."""
    if not path.exists() and path.suffix == "" and path.parent == Path():
        raise BadInput(
            f"Unknown prompt {path.name!r}. There are: {', '.join(sorted(PROMPTS))}, or the path of a jinja2 file."
        )
    try:
        text = read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not readable as UTF-8 text ({error}). Convert it.") from error
    marked = ("first-of-two-passages", "second-of-two-passages")
    shown = " ".join(each["content"] for each in rendered(text, "query", marked, place=str(path)))
    if any(mark not in shown for mark in marked):
        raise BadInput(
            f"{path}: two passages were given to it, and it does not show both. Write {{{{ passage.text }}}} for each passage in passages."
        )
    return Prompt(kind, text)


class ShownPassage(NamedTuple):
    """A passage as a template sees it."""

    number: int
    label: str
    text: str


def rendered(template: str, query: str, passages: Sequence[str], *, place: str = "the prompt") -> Messages:  # fmt: skip
    """The messages of a prompt for a query and its passages. BadInput for a template that cannot be rendered."""
    from jinja2 import TemplateError

    messages: Messages = []

    def role(name: str) -> Any:
        def say(caller: Any) -> str:
            messages.append({"role": name, "content": str(caller())})
            return ""

        return say

    shown = [
        ShownPassage(n, LABELS[n - 1] if n <= len(LABELS) else "", text)
        for n, text in enumerate(passages, start=1)
    ]
    try:
        rest = _compiled(template).render(
            query=query,
            num=len(shown),
            passages=shown,
            **{name: role(name) for name in ("system", "user", "assistant")},
        )
    except TemplateError as error:
        where = f", line {error.lineno}" if hasattr(error, "lineno") else ""
        raise BadInput(
            f"{place}{where}: it cannot be filled in ({error.message}). It may name query, num, passages, system, user and assistant."
        ) from error
    except (TypeError, ValueError, LookupError, ArithmeticError, RecursionError) as error:
        raise BadInput(f"{place}: it cannot be filled in ({error}). Mend it.") from error
    if not messages:
        return [{"role": "user", "content": rest.strip()}]
    if rest.strip():
        raise BadInput(
            f"{place}: words stand outside of its messages ({rest.strip()[:40]!r}). Put them between "
            "{% call user() %} and {% endcall %}."
        )
    return messages


@cache
def _compiled(template: str) -> "Template":
    """The template in a sandbox that knows no files and no functions of Python, and refuses unknown names."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, autoescape=False
    )
    environment.filters["without_ids"] = _without_ids
    return environment.from_string(template)


def _without_ids(text: str) -> str:
    """The text with `[5]` written as `(5)`, as RankLLM's program does: such a number would read as a passage's."""
    return re.sub(r"\[([0-9]+)\]", r"(\1)", text)
