"""Rankers come through one door, which places them on the device."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import rankscope
from rankscope.models import opening
from rankscope.models.location import Location
from support import tiny

CLASSES = {"CrossEncoder", "BiEncoder", "LateInteraction"}
DOORS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "ranker: cross": ("cross", opening.open_ranker),
    "ranker: bi": ("bi", opening.open_ranker),
    "ranker: late": ("late", opening.open_ranker),
    "trainable: cross": ("cross", opening.open_trainable),
    "trainable: bi": ("bi", opening.open_trainable),
    "bi": ("bi", lambda folder: opening.open_bi_encoder(Location("bi", folder))),
    "late": ("late", lambda folder: opening.open_late_interaction(Location("late", folder))),
    "start": (
        "bare",
        lambda folder: opening.start_cross_encoder(
            Location("bare", folder), seed=1, max_length=None
        )[0],
    ),
    "named: cross": ("cross", lambda folder: opened(folder, None)),
    "named: bi": ("bi", lambda folder: opened(folder, None)),
    "named: bare": ("bare", lambda folder: opened(folder, "cls")),
}


def opened(folder: Path, pooling: str | None) -> Any:
    (ranker,) = opening.opened([str(folder)], revision=None, pooling=pooling).values()
    return ranker


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("rankers")
    tiny.cross_encoder(folder / "encoder").save(folder / "cross")
    return {
        "cross": folder / "cross",
        "bi": tiny.save_bi_encoder(folder / "bi"),
        "late": tiny.save_late_interaction(folder / "late"),
        "bare": tiny.save_encoder(folder / "bare"),
    }


@pytest.mark.parametrize("door", DOORS)
def test_whatever_is_opened_stands_on_the_device(
    door: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`meta` holds no numbers, and a weight's device says that it was sent there."""
    monkeypatch.setattr(opening, "device", lambda: torch.device("meta"))
    kind, through = DOORS[door]
    ranker = through(folders[kind])
    assert {weight.device.type for weight in ranker.model.parameters()} == {"meta"}


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter:UserWarning")
@pytest.mark.parametrize("kind", ["cross", "bi"])
def test_a_ranker_of_random_weights_stands_where_its_model_does(
    kind: str, folders: dict[str, Path]
) -> None:
    ranker = opening.open_trainable(folders[kind])
    ranker.model.to("meta")
    drawn = ranker.at_random(seed=1)
    assert {weight.device.type for weight in drawn.model.parameters()} == {"meta"}


def test_no_other_module_opens_a_ranker_or_says_where_it_runs() -> None:
    """The loop alone asks for the device as well, to tell accelerate."""
    source = Path(rankscope.__path__[0])
    found = {
        path.relative_to(source).as_posix(): sorted(_doors(ast.parse(path.read_text("utf-8"))))
        for path in source.rglob("*.py")
    }
    assert found.pop("models/opening.py") == [
        "BiEncoder.load", "CrossEncoder.load", "CrossEncoder.load", "CrossEncoder.load", "CrossEncoder.start",
        "LateInteraction.load", "current_accelerator", "device", "device",
    ]  # fmt: skip
    assert found.pop("train/loop.py") == ["device", "device"]
    assert found.pop("study/runner.py") == ["device"]  # told in manifests
    assert found.pop("models/processes.py") == ["current_accelerator"]  # its index, for torchrun
    assert {path: calls for path, calls in found.items() if calls} == {}


def _doors(module: ast.Module) -> list[str]:
    """Calls that open a ranker, or ask for the device or the accelerator."""
    made = []
    for node in ast.walk(module):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        owner, _, name = called.rpartition(".")
        if (owner in CLASSES and name in {"load", "start"}) or called in {
            "device", "opening.device", "backbone.device",
        }:  # fmt: skip
            made.append(called)
        elif name == "current_accelerator":
            made.append(name)
    return made
