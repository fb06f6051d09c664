"""One request to a server of OpenAI's interface: its answer, or why there is none and whether to ask again.

The `openai` package sends it. It is imported here alone, and its own attempts are turned off: how long to wait, and what an
attempt may have cost, is decided by `driver`.
"""

import base64
import json
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Self, final

from rankscope.core.errors import AskingStopped, BadInput
from rankscope.core.visible import redacted, visible
from rankscope.llm.prompts import Messages
from rankscope.llm.server.endpoint import Endpoint

if TYPE_CHECKING:
    import openai

AGAIN = frozenset({408, 409, 425, 429})
"""Codes of a server that may answer later, beside 5xx."""
NOT_PAID = frozenset({429, 500, 502, 503, 529})
"""Codes of a server that did no work."""
QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
TOO_LONG = re.compile(
    r"context.?(?:length|size|window)|maximum context|too many tokens|too long|max_model_len|exceeds? the (?:available|model)"
    r"|reduce the length|longer than the (?:model|maximum)",
    re.IGNORECASE,
)
FILTERED = ("content_filter", "content_policy_violation")


class Sent(NamedTuple):
    """What every request holds beside its messages."""

    model: str
    temperature: float
    max_tokens: int
    fields: Mapping[str, Any]


def body_of(sent: Sent, messages: Messages) -> dict[str, Any]:
    """The body of a request; a further field of None leaves that field out, and `max_completion_tokens` replaces `max_tokens`."""
    body: dict[str, Any] = {
        "model": sent.model,
        "messages": messages,
        "temperature": sent.temperature,
        "max_tokens": sent.max_tokens,
    }
    if sent.fields.get("max_completion_tokens") is not None:
        del body["max_tokens"]
    body |= sent.fields
    return {name: value for name, value in body.items() if value is not None}


@dataclass(frozen=True)
class Completion:
    """An answer, and what the server said of it."""

    text: str
    refusal: str | None
    tokens_in: int | None
    tokens_out: int | None
    model: str | None
    fingerprint: str | None
    finish: str | None
    date: str

    def record(self) -> dict[str, Any]:
        """The answer as a line of the file has it."""
        said = {
            "response": self.text or None,
            "refusal": self.refusal,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "model": self.model,
            "fingerprint": self.fingerprint,
            "finish": self.finish,
            "date": self.date,
        }
        return {name: value for name, value in said.items() if value is not None or name == "response"}  # fmt: skip


class TryAgain(Exception):
    """There is no answer yet."""

    def __init__(self, why: str, *, after: float | None = None, may_be_paid: bool) -> None:
        super().__init__(why)
        self.why, self.after, self.may_be_paid = why, after, may_be_paid


def completion_of(body: object, date: str) -> Completion | None:
    """The answer in the body of a response; None where the body is none."""
    choices = body.get("choices") if isinstance(body, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(body, dict) or not isinstance(message, dict) or not isinstance(first, dict):
        return None
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    refusal, text = _text(message.get("refusal")), _text(message.get("content")) or ""
    made = body.get("created")
    if isinstance(made, int | float) and 0 < made < 1e11:
        date = datetime.fromtimestamp(made, UTC).isoformat(timespec="seconds")
    return Completion(
        text=text or refusal or "",
        refusal=refusal,
        tokens_in=_count(usage.get("prompt_tokens")),
        tokens_out=_count(usage.get("completion_tokens")),
        model=_text(body.get("model")),
        fingerprint=_text(body.get("system_fingerprint")),
        finish=_text(first.get("finish_reason")),
        date=date,
    )


def _text(value: object) -> str | None:
    """A text; of a list of parts, the texts among them."""
    if isinstance(value, list):
        parts = [part.get("text") for part in value if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str)) or None
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


@final
class Client:
    """Asks one server one thing at a time for each caller; `async with` closes it."""

    def __init__(self, server: Endpoint, sent: Sent, *, timeout: float) -> None:
        self._server, self._sent, self._timeout = server, sent, timeout
        self.named = server.named
        self._openai = _opened(server, timeout)

    async def __aenter__(self) -> Self:
        """The client."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close its connections."""
        await self._openai.close()

    async def ask(self, messages: Messages) -> Completion:
        """The answer to the messages. TryAgain where there may be one later, AskingStopped where there will be none."""
        import openai

        body = body_of(self._sent, messages)
        try:  # as `extra_body`: the package's own fields are checked by their types, 40 ms for a window of 20 passages
            raw = await self._openai.chat.completions.with_raw_response.create(
                model=self._sent.model, messages=(), extra_body=body
            )
            said, status = raw.http_response.text, raw.http_response.status_code
        except openai.APIStatusError as error:
            return self._refused(error)
        except openai.APITimeoutError:
            raise TryAgain(f"no answer within {self._timeout:g} s", may_be_paid=True) from None
        except openai.APIConnectionError as error:
            cause = error.__cause__
            never_sent = type(cause).__name__ in ("ConnectError", "ConnectTimeout")
            what = "cannot be reached" if never_sent else "the connection was cut"
            raise TryAgain(what, may_be_paid=not never_sent) from None
        try:
            answer = completion_of(json.loads(said), _now())
        except ValueError:
            answer = None
        if answer is None:
            raise TryAgain(
                f"what came with code {status} is no answer ({_shown(said)})", may_be_paid=True
            )
        return answer

    def _refused(self, error: "openai.APIStatusError") -> Completion:
        """Raise for a response with an error; one whose text was filtered is a refusal, which is an answer."""
        status, body = error.status_code, error.body
        inner = body if isinstance(body, dict) else {}
        code = str(inner.get("code") or inner.get("type") or "")
        said = _shown(str(inner.get("message") or error.message))
        who = self._server.shown
        if code in FILTERED:
            return Completion("", said, 0, 0, None, None, "content_filter", _now())
        if status in (401, 403):
            key = self._server.key_name
            remedy = (
                f"${key} holds a key, and it is not taken."
                if self._server.key
                else f"It wants a key: set ${key}, or name another variable with {self.named('key_env')}."
            )
            raise AskingStopped(
                f"{who} does not let this in (code {status}: {said}). {remedy}"
            ) from None
        if code in QUOTA:
            raise AskingStopped(
                f"{who} says that the account has no money left ({said})."
            ) from None
        if status in AGAIN or status >= 500:
            after = _retry_after(error.response.headers)
            raise TryAgain(
                f"code {status}: {said}", after=after, may_be_paid=status not in NOT_PAID
            ) from None
        if status == 404:
            raise AskingStopped(
                f"{who} has no model {self._sent.model!r}, or is no such server (code 404: {said}). Check {self.named('model')} and {self.named('endpoint')}."
            ) from None
        if status == 413 or TOO_LONG.search(said) or code == "context_length_exceeded":
            raise AskingStopped(
                f"The prompt is too long for {self._sent.model} ({said}). Show shorter passages ({self.named('passage_words')}) or fewer at "
                f"once ({self.named('window')})."
            ) from None
        raise AskingStopped(
            f"{who} refuses the request (code {status}: {said}). Its fields are set, or left out, with {self.named('field')}."
        ) from None


def _opened(server: Endpoint, timeout: float) -> "openai.AsyncOpenAI":
    try:
        import openai
    except ImportError as error:
        raise BadInput(
            "To ask an LLM, the package openai is needed: pip install 'rankscope[llm]'."
        ) from error
    for name in ("openai", "httpx", "httpx2", "httpcore", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)  # below, they log addresses and headers
    headers = {}
    if server.login is not None:
        login = base64.b64encode(server.login.encode()).decode()
        headers["Authorization"] = f"Basic {login}"
    return openai.AsyncOpenAI(
        api_key=server.key or "none",
        base_url=server.url,
        default_query=dict(server.query),
        default_headers=headers,
        max_retries=0,
        timeout=timeout,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait, told as seconds or as a date; None where it tells none."""
    milliseconds = headers.get("retry-after-ms")
    said = (headers.get("retry-after") or "").strip()
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000)
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _shown(said: str) -> str:
    """What a server said, short, on one line and without secrets."""
    line = visible(redacted(" ".join(said.split())))
    return line if len(line) <= 200 else f"{line[:200]}…"
