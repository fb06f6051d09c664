"""The key stands in no file, log or message, wherever it comes from and whatever goes wrong."""

import base64
import json
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from rankscope.core.visible import HIDDEN, hide, redacted
from support.asked_world import AskedWorld
from support.command import Command
from support.llm_server import Body, Fault, error, llm_server, oracle

KEY = 'sk-Made"Up/Key+0123=456789'
PASSWORD, TOKEN = "pass-Word/0987", "query-T0ken-5678"
FORMS = [
    form
    for secret in (KEY, PASSWORD, TOKEN)
    for form in (
        secret,
        quote(secret, safe=""),
        quote(secret),
        json.dumps(secret)[1:-1],
        base64.b64encode(secret.encode()).decode(),
    )
] + [base64.b64encode(f"me:{PASSWORD}".encode()).decode()]


def found_in(folder: Path, *texts: str) -> list[str]:
    """Where a secret stands, of all files in a folder and of the texts."""
    told = {str(path): path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()}  # fmt: skip
    told |= {f"text {n}": text for n, text in enumerate(texts)}
    return [place for place, text in told.items() if any(form in text for form in FORMS)]


def test_each_form_of_a_secret_is_hidden_and_a_short_word_is_none() -> None:
    hide(KEY)
    hide("none")
    hide(None)
    for form in FORMS[:5]:
        assert redacted(f"<{form}>") == f"<{HIDDEN}>"
    assert redacted("none of it") == "none of it"


def test_what_is_searched_for_would_be_found(tmp_path: Path) -> None:
    """The test's own search finds each form."""
    for form in FORMS:
        (tmp_path / "file").write_text(f"a {form} b")
        assert found_in(tmp_path)
        assert found_in(tmp_path / "none", form)


SERVED: dict[str, Callable[[int, Body], Fault | None]] = {
    "all is well": lambda n, body: None,
    "the error tells the key": lambda n, body: error(401, f"wrong key {KEY} of {PASSWORD}"),
    "the error tells the address": lambda n, body: error(400, f"bad: /v1?api-key={TOKEN}"),
    "the error is no JSON": lambda n, body: Fault(500, body=f"<b>{KEY}</b>".encode()),
    "the answer is no answer": lambda n, body: Fault(body=f'{{"key": {json.dumps(KEY)}'.encode()),
    "the answer tells the key": lambda n, body: Fault(
        body={
            "model": f"model-{KEY}",
            "system_fingerprint": TOKEN,
            "choices": [{"message": {"content": f"[2] > [1] {KEY} {PASSWORD}"}}],
        }
    ),
    "no server": lambda n, body: None,
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", SERVED)
def test_the_key_is_nowhere(
    rankscope: Command,
    world: AskedWorld,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    """In the environment, as the password and as a value of the address; the logs of the client's packages are on."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_LOG", "debug")
    caplog.set_level(logging.DEBUG)
    with llm_server(oracle, fault=SERVED[name]) as server:
        address = "http://127.0.0.1:9/v1" if name == "no server" else server.address
        address = address.replace("//", f"//me:{quote(PASSWORD, safe='')}@") + f"?api-key={TOKEN}"
        out = tmp_path / "answers.jsonl"
        words = world.words(address, out, "--retries", 1, "--budget", 1000, "--price-in", 1)
        told = rankscope(*words)
        n = len(server.asked)
        assert (n == 0) == (name == "no server")
    assert told.code == (0 if name in ("all is well", "the answer tells the key") else 1)
    assert found_in(tmp_path, told.out, told.err, caplog.text) == []


@pytest.mark.parametrize("shown", ["", "1"])
def test_the_key_is_in_no_traceback_of_a_bug(
    rankscope: Command,
    world: AskedWorld,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shown: str,
) -> None:
    """A bug whose error tells all, in a command whose words hold the address."""
    from rankscope.llm.server import client

    async def broken(self: object, messages: object) -> None:
        raise RuntimeError(f"a bug: {KEY} {TOKEN} {PASSWORD}")

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("RANKSCOPE_TRACEBACK", shown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(client.Client, "ask", broken)
    address = f"http://me:{quote(PASSWORD, safe='')}@127.0.0.1:9/v1?api-key={TOKEN}"
    told = rankscope(*world.words(address, tmp_path / "a.jsonl"))
    assert told.code == 70
    assert "this is a bug of rankscope" in told.err
    traces = [*tmp_path.glob("rankscope-*.txt")]
    assert len(traces) == (0 if shown else 1)
    assert "RuntimeError" in (told.err if shown else traces[0].read_text())
    assert found_in(tmp_path, told.out, told.err) == []


@pytest.mark.parametrize(
    "address", ["http://me:{}@host:port/v1", "ftp://me:{}@host/v1?key={}", "me:{}@host/v1?key={}"]
)
def test_an_address_that_is_none_is_told_without_its_secrets(
    rankscope: Command, world: AskedWorld, tmp_path: Path, address: str
) -> None:
    told = rankscope(*world.words(address.format(TOKEN, TOKEN), tmp_path / "a.jsonl"))
    assert (told.code, "no address of a server" in told.err) == (1, True)
    assert found_in(tmp_path, told.out, told.err) == []


def test_a_key_that_is_none_is_told_without_it(
    rankscope: Command, world: AskedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\nexport X")
    told = rankscope(*world.words("http://127.0.0.1:9/v1", tmp_path / "a.jsonl"))
    assert "$OPENAI_API_KEY holds characters that no key has" in told.err
    assert KEY not in told.err
