"""A study that was carried out, and a client of the view over its results."""

from pathlib import Path

import pytest

from support import scenes, tiny

TOKEN, PORT = "k3y", 8001


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a tiny study with two stages, changes and neurons."""
    import rankscope as rs

    place = tmp_path_factory.mktemp("study")
    file = tiny.write_study(place)
    explain = (
        "explain:\n  rankers: [plain, C]\n"
        "  changes: {moved: {over: test, from: bm25, depth: 10, texts: 20}}\n"
        "  attribution: {mine: {over: test, from: bm25, depth: 5, examples: 3, nodes: 2, baseline: plain}}\n"
    )
    data = scenes.write(place / "scenes")
    text = file.read_text("utf-8").replace(str(place / "data"), str(data))
    file.write_text(text + explain, "utf-8")
    rs.read_study(file, results=place / "results").run()
    return place / "results"


@pytest.fixture
def client(results: Path):  # type: ignore[no-untyped-def]
    from starlette.testclient import TestClient

    from rankscope.viewer.app import application

    app = application(results, token=TOKEN, port=PORT)
    with TestClient(app, base_url=f"http://127.0.0.1:{PORT}") as made:
        yield made
