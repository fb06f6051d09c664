"""The server as a user starts it: a process, its printed address, a browser, Ctrl-C."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support import interrupts
from support.command import Command

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture
def address(results: Path) -> Iterator[str]:
    """The address that the command prints; it is ended as a user ends it."""
    words = [sys.executable, "-m", "rankscope", "view", str(results), "--no-browser"]
    with interrupts.heard():
        served = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with served:
        assert served.stdout is not None
        printed = served.stdout.readline()
        try:
            found = re.search(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", printed)
            assert found, printed
            httpx.get(found[0], timeout=60)  # it serves, so it hears Ctrl-C
            yield found[0]
        finally:
            served.send_signal(signal.SIGINT)
            try:
                out, err = served.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                served.kill()
                raise
    assert (served.returncode, out, err) == (0, "The view has ended.\n", "")


def test_the_printed_address_is_answered_and_no_other(address: str) -> None:
    assert "C-D" in httpx.get(address).text
    assert httpx.get(address.rsplit("/", 2)[0] + "/").status_code == 403


def test_a_folder_without_results_and_a_port_in_use_get_a_sentence(
    results: Path, tmp_path: Path, address: str, rankscope: Command
) -> None:
    answer = rankscope("view", tmp_path, "--no-browser")
    assert answer.code == 1
    assert "no results of a study are here" in answer.err
    port = str(httpx.URL(address).port)
    answer = rankscope("view", results, "--no-browser", "--port", port)
    assert answer.code == 1
    assert f"Port {port} cannot be used (Address already in use). Name another" in answer.err


@pytest.mark.timeout(60)
@pytest.mark.parametrize("moment", ["found", "told", "run", "loop", "started"])
def test_ctrl_c_at_any_moment_ends_it_in_order(
    results: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder, moment: str
) -> None:
    """It is heard while libraries are imported, as the address is told, and inside uvicorn before it listens to signals."""
    import uvicorn

    from rankscope.viewer import server

    sent: list[str] = []

    def send(now: str) -> None:
        if now == moment:
            sent.append(now)
            signal.raise_signal(signal.SIGINT)

    def sending(now: str, call):  # type: ignore[no-untyped-def]
        def called(*given, **named):  # type: ignore[no-untyped-def]
            send(now)
            return call(*given, **named)

        return called

    monkeypatch.setattr(server, "found", sending("found", server.found))
    monkeypatch.setattr(uvicorn.Server, "run", sending("run", uvicorn.Server.run))
    monkeypatch.setattr(uvicorn.Server, "startup", sending("started", uvicorn.Server.startup))
    factory = uvicorn.Config.get_loop_factory
    monkeypatch.setattr(uvicorn.Config, "get_loop_factory", sending("loop", factory))
    told: list[str] = []
    with interrupts.heard():
        before = signal.getsignal(signal.SIGINT)
        ended = server.serve(
            server.ViewSettings(results, browser=False),
            tell=lambda words: (told.append(words), send("told"))[0],
        )
        assert signal.getsignal(signal.SIGINT) is before
    assert ended.lines == ("The view has ended.",)
    assert sent == [moment]
    assert len(told) == (0 if moment == "found" else 1), (
        "an address that nobody answers is not told"
    )
    assert not [each for each in recwarn if "never awaited" in str(each.message)]


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed here")
def test_in_a_browser_clicks_lead_to_rankings_words_and_typed_scores_and_nothing_leaves(
    address: str,
) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.goto(address)
        for label in ("C.test.bm25", "plain.test.bm25"):
            page.locator("form[action$=rankings] select").first.select_option(label=label)
        with page.expect_navigation():
            page.get_by_role("button", name="Show").first.click()
        first = page.locator("h2").inner_text()
        with page.expect_navigation():
            page.keyboard.press("j")
        assert page.locator("h2").inner_text() != first
        with page.expect_navigation():
            page.locator("button.small").first.click()
        assert page.locator(".word").count() > 3
        page.goto(address)
        with page.expect_navigation():
            page.get_by_role("button", name="Type").click()
        page.fill("input[name=query]", "who sits")
        page.fill("textarea", "the red cat sits\nthe blue dog runs")
        with page.expect_navigation():
            page.get_by_role("button", name="Score").click()
        assert page.locator("table.scores tbody tr").count() == 2
        page.set_viewport_size({"width": 390, "height": 800})
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()
    assert all(url.startswith(address) for url in asked), asked
    assert said == [], "the browser refused nothing"
