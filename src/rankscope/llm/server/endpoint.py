"""A server of OpenAI's interface: its address, and the key, which comes from the environment and is written nowhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from rankscope.core.errors import BadInput
from rankscope.core.visible import hide
from rankscope.llm.settings import Named, as_option

KEY = "OPENAI_API_KEY"
"""The variable that holds the key, where no other is named."""
PATH = "/chat/completions"
"""What a client adds to the address."""
HOSTED = "api.openai.com"


@dataclass(frozen=True)
class Endpoint:
    """A server's address and what opens it; only `shown` may stand in a message."""

    url: str
    """Without a user's name and password, and without a query."""
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    login: str | None = field(default=None, repr=False)
    """`user:password` of the address, sent as basic authentication in place of the key."""
    key: str | None = field(default=None, repr=False)
    key_name: str = KEY
    named: Named = as_option
    """How a person wrote what messages name."""

    @property
    def shown(self) -> str:
        """The address without its scheme."""
        return self.url.partition("://")[2]


def endpoint(
    url: str,
    environ: Mapping[str, str],
    key_name: str = KEY,
    named: Named = as_option,
    *,
    is_asked: bool = True,
) -> Endpoint:
    """The server at an address, with the key of that variable. BadInput for what is no address; for no key, if it is asked.

    Whatever of the address may be a secret (a user's name and password, the values of its query) is hidden from all
    messages first.
    """
    key = environ.get(key_name, "").strip() or None
    hide(key)
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise BadInput(
            f"{named('endpoint')}: this is no address of a server. {_remedy()}"
        ) from None
    login = parts.netloc.rpartition("@")[0] or None
    for secret in (login, parts.username, parts.password):
        hide(secret)
        hide(None if secret is None else unquote(secret))
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    for value in (*query.values(), parts.query.partition("=")[2], parts.fragment):
        hide(value)
    if parts.scheme not in ("http", "https") or not host:
        raise BadInput(f"{named('endpoint')}: this is no address of a server. {_remedy()}")
    path = parts.path.rstrip("/")
    if path.endswith(PATH):
        raise BadInput(
            f"{named('endpoint')}: leave out {PATH} at the end of the address: it is added."
        )
    address = parts.netloc.rpartition("@")[2]
    if key is not None and not (key.isascii() and key.isprintable()):
        raise BadInput(
            f"${key_name} holds characters that no key has. Set it to the key alone, on one line."
        )
    if is_asked and key is None and host == HOSTED and login is None:
        raise BadInput(
            f"{host} wants a key, and ${key_name} is not set. Set it, or name another variable with {named('key_env')}."
        )
    return Endpoint(
        f"{parts.scheme}://{address}{path}",
        query,
        None if login is None else unquote(login),
        key,
        key_name,
        named,
    )


def _remedy() -> str:
    return "Give one such as https://api.openai.com/v1 or http://localhost:8000/v1."
