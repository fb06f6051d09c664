"""What all tests share. It loads no torch, which the process that hands out tests has no use for."""

import gc
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = (
    "1"  # read once, when the hub's client is imported: no network in tests
)

import pytest

from rankscope import cli
from support.command import Answer, Command
from support.warm import Warm


@pytest.fixture(autouse=True, scope="session")
def validated_charts() -> None:
    """Every chart that a test draws is checked against Vega-Lite's schema."""
    from rankscope.report import charts
    from support.vega_lite import check

    charts.CHECKS.append(check)


@pytest.fixture(scope="session", autouse=True)
def nothing_waits_for_the_disk() -> Iterator[None]:
    """No test cuts the power: `os.fsync` does nothing but where a test says what the disk does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="module")
def frozen_garbage() -> Iterator[None]:
    """statsmodels' multipletests collects garbage at every call: what is there already is left out."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def roughly_fitted() -> Iterator[None]:
    """Probes fitted to a hundredth of a nat, for tests of what is fitted, stored and said, not of how well."""
    from rankscope.explain import probe_fits

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe_fits, "Fitting", partial(probe_fits.Fitting, tolerance=1e-2))
        yield


@pytest.fixture
def every_instruction(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor with every instruction for narrow numbers; the products are the same without them, only slow."""
    import torch

    from rankscope.models.fast import precision

    names = (*precision.INT8_INSTRUCTIONS, *precision.BFLOAT16_INSTRUCTIONS)
    table = dict.fromkeys(names, True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: table, raising=False)


@pytest.fixture
def rankscope(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line, in this process."""

    def command(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["rankscope", *map(str, words)])
        code: object = 0
        try:
            cli.main()
        except SystemExit as leaving:
            code = leaving.code or 0
        captured = capsys.readouterr()
        assert isinstance(code, int)
        return Answer(code, captured.out, captured.err)

    return command


@pytest.fixture
def real_data() -> Path:
    """The folder of real collections; a test that needs it is skipped where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("RANKSCOPE_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real collections at {folder}; set RANKSCOPE_DATA")
    return folder


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study file over a tiny collection and tiny models."""
    from support import tiny

    return tiny.write_study(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """The command line in processes of its own, quickly."""
    made = Warm(tmp_path_factory.mktemp("warm"))
    yield made
    made.close()
