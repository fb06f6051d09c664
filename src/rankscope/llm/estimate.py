"""What asking will take, before anything is sent: requests, tokens and money."""

from dataclasses import dataclass
from typing import Any

from rankscope.llm.costs import Prices, TokenCounting, Tokens
from rankscope.llm.job import Job, begun
from rankscope.llm.ways import AN_ORDER, WAYS, AskedQuestion

SAMPLED = 50
"""Queries whose prompts are written for an estimate, spread evenly over all."""
TOKENS_AN_ID, TOKENS_A_LABEL = 5, 3
"""Tokens of `[20] > ` and of `Passage A`, about."""


@dataclass(frozen=True)
class AskEstimate:
    """Requests, tokens and money for what is left to ask; the tokens of prompts come from a sample of queries."""

    n_lists: int
    n_stored: int
    n_requests: int
    is_exact: bool
    """Whether it is the number of requests, not the most that there can be."""
    about: Tokens
    at_most: Tokens
    prices: Prices

    def report(self) -> dict[str, Any]:
        """The estimate as plain data."""
        report: dict[str, Any] = {"n_lists": self.n_lists, "n_answers_there_are": self.n_stored}
        report["n_requests" if self.is_exact else "n_requests_at_most"] = self.n_requests
        report |= {"tokens_in_about": self.about.prompt, "tokens_out_about": self.about.answer}
        if self.prices.prompt or self.prices.answer:
            report |= {
                "cost_about": self.prices.of(self.about),
                "cost_at_most": self.prices.of(self.at_most),
            }
        return report


def estimated(job: Job, counting: TokenCounting, prices: Prices, *, n_stored: int) -> AskEstimate:
    """What is left to ask, where the lists stay as they are shown: sorts then ask least, so requests come from their formula."""
    way, asking = WAYS[job.asking.way], job.asking
    stride = max(1, len(job.candidates) // SAMPLED)
    n, about, at_most, answer = 0, 0, 0, 0
    for query_id in list(job.candidates)[::stride]:
        course = begun(asking, query_id, 0, job.candidates[query_id])
        while course.rankings is None:
            for key, question in course.pending().items():
                messages = job.request(key, question).messages
                n += 1
                about += counting.about(messages)
                at_most += counting.at_most(messages)
                answer += TOKENS_AN_ID * len(question.doc_ids) if way.kind == AN_ORDER else TOKENS_A_LABEL  # fmt: skip
                course.answer(key, _unmoved(question))
    left = max(0, job.n_requests() - n_stored)
    return AskEstimate(
        n_lists=job.n_lists,
        n_stored=n_stored,
        n_requests=left,
        is_exact=way.is_exact,
        about=Tokens(round(left * about / max(1, n)), round(left * answer / max(1, n))),
        at_most=Tokens(round(left * at_most / max(1, n)), left * asking.max_tokens),
        prices=prices,
    )


def _unmoved(question: AskedQuestion) -> str:
    """The answer that leaves docs as they are shown."""
    if question.window is not None:
        return " > ".join(f"[{n}]" for n in range(1, len(question.doc_ids) + 1))
    return "Passage A"
