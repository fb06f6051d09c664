"""The energy of a study's steps: in manifests, report and card, never in a step's name; and without the extra one sentence."""

import json
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from support import tiny
from support.command import Command


class Tracker:
    """A stand-in for codecarbon's tracker: a step takes 0.25 kWh, and the first tracker 0.4 seconds to be made."""

    made: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, **how: Any) -> None:
        if not self.made:
            time.sleep(0.4)
        self.made.append(how)

    def start(self) -> None:
        self.final_emissions_data = None

    def stop(self) -> None:
        self.final_emissions_data = SimpleNamespace(energy_consumed=0.25)


@pytest.fixture
def codecarbon(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    Tracker.made = []
    module = SimpleNamespace(OfflineEmissionsTracker=Tracker, __version__="9.9")
    monkeypatch.setitem(sys.modules, "codecarbon", module)
    return Tracker.made


def test_every_step_that_is_carried_out_tells_its_energy(
    tmp_path: Path, rankscope: Command, codecarbon: list[dict[str, Any]]
) -> None:
    study = tiny.write_study(tmp_path)
    assert rankscope("run", study, "--results", tmp_path / "without").code == 0
    assert not codecarbon
    answer = rankscope("run", study, "--results", tmp_path / "with", "--energy")
    assert answer.code == 0, answer.err
    folders = [tmp_path / name / "tiny" / "steps" for name in ("without", "with")]
    names = [sorted(step.name for step in folder.iterdir()) for folder in folders]
    assert names[0] == names[1], "energy is no part of a step's identity"
    assert len(codecarbon) == len(names[1])
    assert all(how["output_methods"] == [] for how in codecarbon)
    assert all(how["emissions_endpoint"] is None for how in codecarbon)
    manifests = [
        json.loads((folders[1] / name / "manifest.json").read_text("utf-8")) for name in names[1]
    ]
    made = [manifest["made"] for manifest in manifests]
    seconds = [manifest["seconds"] for manifest in manifests if manifest["kind"] == "docs"]
    assert max(seconds) < 0.4, "a step's seconds are its own"
    assert {(each["kwh"], each["energy_by"]) for each in made} == {(0.25, "codecarbon 9.9")}
    page = (tmp_path / "with" / "tiny" / "report.html").read_text("utf-8")
    n_steps = len(names[1]) - 1  # the report does not tell its own
    assert f"<dt>Energy</dt><dd>{0.25 * n_steps:.3g} kWh (codecarbon 9.9)</dd>" in page
    assert "<dt>Energy</dt>" not in (tmp_path / "without" / "tiny" / "report.html").read_text(
        "utf-8"
    )
    (tuned,) = (folder for folder in folders[1].glob("train-C-*") if "C-D" not in folder.name)
    assert rankscope("export", tuned / "model", tmp_path / "out").code == 0
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "## Energy\n\n0.25 kWh in 1 stage, by `codecarbon 9.9`." in card


@pytest.mark.slow
def test_the_real_one_measures_writes_nothing_and_asks_nobody(
    tmp_path: Path,
    rankscope: Command,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
) -> None:
    """Whatever codecarbon's own settings say: they name a server, a token and files here."""
    pytest.importorskip("codecarbon")
    asked: list[object] = []

    def connect(self: socket.socket, address: object) -> None:
        asked.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", connect)
    for name in ("SAVE_TO_API", "SAVE_TO_FILE", "SAVE_TO_PROMETHEUS", "SAVE_TO_LOGGER"):
        monkeypatch.setenv(f"CODECARBON_{name}", "true")
    monkeypatch.setenv("CODECARBON_EMISSIONS_ENDPOINT", "http://127.0.0.1:9/energy")
    monkeypatch.setenv("CODECARBON_ELECTRICITYMAPS_API_TOKEN", "secret")
    monkeypatch.setenv("CODECARBON_LOG_LEVEL", "debug")
    monkeypatch.chdir(tmp_path)
    study = tiny.write_study(tmp_path)
    answer = rankscope("run", study, "--results", tmp_path / "results", "--energy")
    assert answer.code == 0, answer.err
    assert "[codecarbon" not in answer.err
    assert not [each for each in recwarn if "codecarbon" in each.filename]
    assert not asked
    assert not list(tmp_path.rglob("emissions*"))
    steps = tmp_path / "results" / "tiny" / "steps"
    manifests = [json.loads(path.read_text("utf-8")) for path in steps.glob("*/manifest.json")]
    made = [manifest["made"] for manifest in manifests]
    assert all(each["energy_by"].startswith("codecarbon 3.") for each in made)
    trained = [each for each in manifests if each["kind"] == "train"]
    for each in trained:  # more than nothing, and less than a kilowatt
        assert 0 < each["made"]["kwh"] < each["seconds"] / 3600
    whole = sum(each["made"]["kwh"] for each in manifests if each["kind"] != "report")
    page = (tmp_path / "results" / "tiny" / "report.html").read_text("utf-8")
    assert f"<dt>Energy</dt><dd>{whole:.3g} kWh (codecarbon 3." in page
    (tuned,) = (folder for folder in steps.glob("train-C-*") if "C-D" not in folder.name)
    assert rankscope("export", tuned / "model", tmp_path / "out").code == 0
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    (of_it,) = (each for each in trained if each["name"] == tuned.name)
    assert f"## Energy\n\n{of_it['made']['kwh']:.3g} kWh in 1 stage, by `codecarbon 3." in card


def test_without_the_extra_it_is_one_sentence_before_anything_is_done(
    tmp_path: Path, rankscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    study = tiny.write_study(tmp_path)
    answer = rankscope("run", study, "--results", tmp_path / "results", "--energy")
    assert answer.code == 1
    assert (
        "codecarbon, which is not installed. Install it: pip install 'rankscope[energy]'."
        in answer.err
    )
    assert not list((tmp_path / "results").rglob("steps/*"))


def test_nothing_is_sent_or_written_whatever_one_s_own_settings_of_codecarbon_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("codecarbon")
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    from rankscope.study.energy import metered

    asked: list[str] = []

    class Listening(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_PUT = do_POST

    server = HTTPServer(("127.0.0.1", 0), Listening)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("CODECARBON_EMISSIONS_ENDPOINT", address)
    monkeypatch.setenv("CODECARBON_OUTPUT_METHODS", "csv,prometheus")
    monkeypatch.setenv("CODECARBON_PROMETHEUS_URL", address)
    monkeypatch.chdir(tmp_path)
    with metered(is_wanted=True, tell=pytest.fail) as took:
        sum(range(1_000_000))
    server.shutdown()
    server.server_close()
    assert took["kwh"] > 0
    assert asked == []
    assert list(tmp_path.iterdir()) == []
    assert "codecarbon" not in "".join(capfd.readouterr()).lower()


def test_a_step_is_not_lost_where_its_energy_cannot_be_measured(
    codecarbon: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rankscope.study.energy import metered

    monkeypatch.setattr(Tracker, "stop", lambda _: None)
    told: list[str] = []
    with metered(is_wanted=True, tell=told.append) as took:
        pass
    assert took == {}
    assert told == ["codecarbon 9.9 did not measure the energy of this step; its result is whole"]
