"""Pipes, sockets, devices, links and folders in the place of files: refused, or damage, and never waited for."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rankscope.core.errors import BadInput, DamagedArtifact, NotWritable
from rankscope.core.input_files import regular_text, sha256_of
from rankscope.models.files import folders
from rankscope.store.artifacts import BEGUN, MANIFEST, Status, Store, read_json
from rankscope.store.durable import SUMS, broken_seal
from rankscope.store.fingerprint import Digests
from support import tiny
from support.command import Command
from support.in_time import within

NAME = "train-C-0123456789ab"


@pytest.fixture(autouse=True)
def limited() -> Iterator[None]:
    """A pipe that nobody writes to is waited for without end."""
    with within(5):
        yield


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # the path of a socket has room for a hundred characters
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path.name)
    os.chdir(before)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _folder(path: Path) -> None:
    path.mkdir()


def _link_to_nowhere(path: Path) -> None:
    path.symlink_to("/nowhere/at/all")


KINDS = [_pipe, _socket, _device, _folder, _link_to_nowhere]
no_file = pytest.mark.parametrize("put", KINDS, ids=lambda put: put.__name__[1:])
Put = Callable[[Path], None]


def placed(put: Put, path: Path) -> Path:
    """What is no file, in the place of the file."""
    path.unlink(missing_ok=True)
    put(path)
    return path


@no_file
def test_what_is_no_file_is_read_by_nobody(tmp_path: Path, put: Put) -> None:
    path = placed(put, tmp_path / "x")
    with pytest.raises(OSError, match="x"):
        regular_text(path)
    for read in (sha256_of, read_json, Digests().of):
        with pytest.raises(BadInput, match="x: (cannot be read|there is no such file)"):
            read(path)


@no_file
def test_no_manifest_is_damage(tmp_path: Path, put: Put) -> None:
    store = Store(tmp_path)
    with store.writing(NAME, {"name": NAME}):
        pass
    placed(put, store.folder(NAME) / MANIFEST)
    fresh = Store(tmp_path)
    assert fresh.status(NAME) is Status.DAMAGED
    with pytest.raises(DamagedArtifact, match="--retry"):
        fresh.open(NAME)


@no_file
def test_no_record_of_the_store_is_waited_for(tmp_path: Path, put: Put) -> None:
    """What it writes replaces what is in the place of a file, but for the lock, which is refused or locked."""
    store = Store(tmp_path)
    for path in (store.work(NAME) / BEGUN, store.error_file(NAME), tmp_path / SUMS):
        path.parent.mkdir(parents=True, exist_ok=True)
    placed(put, tmp_path / SUMS)
    assert broken_seal(tmp_path) == f"{SUMS} is missing or not what was written"
    placed(put, store.error_file(NAME))
    store.record_error(NAME, "why")
    assert store.error_file(NAME).read_text() == "why"
    if put is not _folder:
        placed(put, store.work(NAME) / BEGUN)
        placed(put, store.work(NAME) / f".partial-{BEGUN}")
        store.begin(NAME, {})
        assert (store.work(NAME) / BEGUN).is_file()
    assert Digests(placed(put, tmp_path / "sources.json")).notes or put is _link_to_nowhere
    placed(put, tmp_path / ".lock")
    if put in {_pipe, _socket, _folder, _link_to_nowhere}:
        with pytest.raises(NotWritable, match=r"\.lock: cannot be written"), store.locked():
            pass


def test_a_lock_empties_nothing_that_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / ".lock").symlink_to("mine")
    with Store(tmp_path).locked():
        pass
    assert (tmp_path / "mine").read_text() == "mine"


@no_file
def test_no_origin_is_told(rankscope: Command, tiny_study: Path, tmp_path: Path, put: Put) -> None:
    (tmp_path / "tiny").mkdir()
    placed(put, tmp_path / "tiny" / "origin.json")
    answer = rankscope("status", tiny_study, "--results", tmp_path)
    assert answer.code == 0
    assert "origin.json: not what was written" in answer.err


@no_file
@pytest.mark.parametrize("verb", ["plan", "status", "check"])
@pytest.mark.parametrize("name", ["corpus.jsonl", "qrels/test.tsv"])
def test_no_file_of_a_collection_is_waited_for(
    rankscope: Command, tiny_study: Path, tmp_path: Path, put: Put, verb: str, name: str
) -> None:
    data = shutil.copytree(tiny_study.parent / "data", tmp_path / "data")
    placed(put, data / name)
    over = [f"collections.{part}.path={data}" for part in ("train", "test")]
    answer = rankscope(verb, tiny_study, *over, "--results", tmp_path)
    assert answer.code == 1
    assert str(data / name) in answer.err
    assert answer.err.count("\n") == 1


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_bi_encoder(tmp_path_factory.mktemp("model") / "m")


@no_file
@pytest.mark.parametrize(
    "name",
    ["config.json", "modules.json", "model.safetensors", "tokenizer.json", "1_Pooling/config.json",
     "special_tokens_map.json", "more.safetensors", "vocab.txt"],
)  # fmt: skip
def test_no_file_of_a_model_is_taken_for_missing(
    model: Path, tmp_path: Path, put: Put, name: str
) -> None:
    folder = shutil.copytree(model, tmp_path / "m")
    path = placed(put, folder / name)
    with pytest.raises(BadInput) as caught:
        folders.checked(folder)
    assert str(caught.value).startswith(f"{path}: it is a")


@no_file
@pytest.mark.parametrize("verb", ["plan", "status", "report"])
@pytest.mark.parametrize("at", ["", "tiny", "tiny/steps"])
def test_what_is_no_folder_of_results_is_refused(
    rankscope: Command, tiny_study: Path, tmp_path: Path, put: Put, verb: str, at: str
) -> None:
    """Before: every step "missing", exit code 0, and `run` refused."""
    if put is _folder:
        put = Path.touch
    place = tmp_path / "results" / at
    place.parent.mkdir(parents=True, exist_ok=True)
    put(place)
    answer = rankscope(verb, tiny_study, "--results", tmp_path / "results")
    assert answer.code == 1
    assert f"{place} is a" in answer.err
    assert "in the place of a folder. Give another" in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("put", [_pipe, _socket, _device], ids=["pipe", "socket", "device"])
def test_no_device_is_replaced_by_what_is_written(
    rankscope: Command, tmp_path: Path, put: Put
) -> None:
    """`--out /dev/null` made a file of it, where the user may write in that folder."""
    run, qrels = tmp_path / "a.run", tmp_path / "qrels"
    run.write_text("q1 Q0 d1 1 1 t1\n")
    qrels.write_text("q1 0 d1 1\n")
    place = placed(put, tmp_path / "out")
    answer = rankscope("evaluate", run, "--qrels", qrels, "--csv", "--out", place)
    assert answer.code == 1
    assert f"{place}: it is a" in answer.err
    assert "Give the path of a file." in answer.err
    assert not place.is_file()
