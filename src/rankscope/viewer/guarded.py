"""Who may ask, and what a page may do: this machine alone, with the token, and no request to elsewhere."""

import secrets
from collections.abc import Callable
from typing import Any, final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = "127.0.0.1"
HOSTS = (LOOPBACK, "localhost")
METHODS = ("GET", "HEAD", "POST")
STRICT = (
    "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
REPORT = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; img-src data: blob:; "
    "font-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Of a report's page, whose charts are drawn by scripts that it carries."""


@final
class Guarded:
    """An application that answers only requests of this machine's browser with the token in the address.

    A page elsewhere that leads a browser here (by a name of its own for this address) sends its own name as the host, and
    is refused.
    """

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        self._app, self._token = app, token
        self._hosts = {f"{host}:{port}" for host in HOSTS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it in one sentence."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            status, why = refusal
            await PlainTextResponse(f"{why}\n", status)(scope, receive, _with_headers(send, STRICT))
            return
        nonce = secrets.token_urlsafe(16)
        scope["state"] = {**scope.get("state", {}), "nonce": nonce}
        await self._app(scope, receive, _with_headers(send, STRICT.format(nonce=nonce)))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        if headers.get("host", "") not in self._hosts:
            return 403, "This page is shown at this machine's own address alone."
        given = scope["path"].split("/")[1]
        if not secrets.compare_digest(given.encode(), self._token.encode()):
            return (
                403,
                "The address lacks the token. Open the address that `rankscope view` printed.",
            )
        if scope["method"] not in METHODS:
            return 405, "Nothing is written here."
        origin = headers.get("origin")
        if origin not in {None, *(f"http://{host}" for host in self._hosts)}:
            return 403, "Another page may not ask here."
        return None


def _with_headers(send: Send, policy: str) -> Callable[[Message], Any]:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("content-security-policy", policy)
            headers["cache-control"] = "no-store"
            headers["referrer-policy"] = "same-origin"
            headers["x-content-type-options"] = "nosniff"
            headers["cross-origin-resource-policy"] = "same-origin"
        await send(message)

    return sending
