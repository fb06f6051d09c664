import errno
import json
from pathlib import Path

import pytest

from rankscope.core.errors import BadInput, DamagedArtifact, MissingArtifact, NotWritable
from rankscope.store.artifacts import MANIFEST, Status, Store, explained, read_json, write_json
from rankscope.store.fingerprint import Digests, fingerprint, sha256_of

NAME = "train-C-0123456789ab"


def stored(tmp_path: Path) -> Store:
    store = Store(tmp_path / "study")
    with store.writing(NAME, {"kind": "train"}) as (out, learnt):
        (out / "model").mkdir()
        (out / "model" / "weights").write_bytes(b"12345")
        learnt["summary"] = {"n": 1}
    return store


def test_an_artifact_is_whole_and_says_what_it_holds(tmp_path: Path) -> None:
    store = stored(tmp_path)
    assert store.status(NAME) is Status.DONE
    manifest = store.manifest(NAME)
    assert manifest["summary"] == {"n": 1}
    assert manifest["files"]["model/weights"]["n_bytes"] == 5
    assert manifest["versions"]["torch"]
    assert (store.open(NAME) / "model" / "weights").read_bytes() == b"12345"


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(RuntimeError), store.writing(NAME, {}) as (out, _):
        (out / "half").write_text("half")
        raise RuntimeError
    assert store.status(NAME) is Status.MISSING
    assert list((tmp_path / "steps").iterdir()) == []


@pytest.mark.parametrize("damage", ["flip", "cut", "drop", "manifest", "no manifest"])
def test_damage_is_found_and_named(tmp_path: Path, damage: str) -> None:
    folder = stored(tmp_path).folder(NAME)
    weights, manifest = folder / "model" / "weights", folder / MANIFEST
    match damage:
        case "flip":
            weights.write_bytes(b"12346")
        case "cut":
            weights.write_bytes(b"1234")
        case "drop":
            weights.unlink()
        case "manifest":
            manifest.write_text("{}")
        case _:
            manifest.unlink()
    fresh = Store(tmp_path / "study")
    assert fresh.status(NAME) is Status.DAMAGED
    with pytest.raises(DamagedArtifact, match="--retry"):
        fresh.open(NAME)
    fresh.forget(NAME)
    assert fresh.status(NAME) is Status.MISSING


def test_states_of_what_is_not_there(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(MissingArtifact):
        store.open(NAME)
    store.work(NAME).mkdir(parents=True)
    assert store.status(NAME) is Status.PARTIAL
    store.record_error(NAME, "Traceback")
    assert store.status(NAME) is Status.FAILED


def test_success_sweeps_checkpoints_and_errors(tmp_path: Path) -> None:
    store = Store(tmp_path / "study")
    store.work(NAME).mkdir(parents=True)
    store.record_error(NAME, "Traceback")
    stored(tmp_path)
    assert not store.work(NAME).exists()
    assert not store.error_file(NAME).exists()


def test_of_two_writers_the_first_stays(tmp_path: Path) -> None:
    store = stored(tmp_path)
    with store.writing(NAME, {}) as (out, _):
        (out / "other").write_text("late")
    assert not (store.folder(NAME) / "other").exists()
    assert store.status(NAME) is Status.DONE


@pytest.mark.parametrize(
    ("code", "advice"), [(errno.ENOSPC, "Free some space"), (errno.EROFS, "--results")]
)
def test_a_disk_that_refuses_is_one_sentence(tmp_path: Path, code: int, advice: str) -> None:
    with pytest.raises(NotWritable, match=advice), explained(tmp_path):
        raise OSError(code, "refused")


def test_other_os_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(InterruptedError), explained(tmp_path):
        raise InterruptedError(errno.EINTR, "interrupted")


def test_a_refused_error_record_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "errors").write_text("a file where the folder should be")
    Store(tmp_path).record_error(NAME, "Traceback")


def test_fingerprints_see_everything_and_nothing_else() -> None:
    base = fingerprint("train", 1, {"a": 1, "b": [1, 2]}, {"run": "x"})
    assert base == fingerprint("train", 1, {"b": [1, 2], "a": 1}, {"run": "x"})
    others = [
        fingerprint("rerank", 1, {"a": 1, "b": [1, 2]}, {"run": "x"}),
        fingerprint("train", 2, {"a": 1, "b": [1, 2]}, {"run": "x"}),
        fingerprint("train", 1, {"a": 1, "b": [2, 1]}, {"run": "x"}),
        fingerprint("train", 1, {"a": 1, "b": [1, 2]}, {"run": "y"}),
    ]
    assert len({base, *others}) == 5
    assert len(base) == 12


def test_digests_are_remembered_and_notice_a_change(tmp_path: Path) -> None:
    source, memory = tmp_path / "docs.jsonl", tmp_path / "sources.json"
    source.write_text("one")
    digests = Digests(memory)
    first = digests.of(source)
    digests.remember()
    assert first == sha256_of(source) == Digests(memory).of(source)
    facts = json.loads(memory.read_text())
    facts[str(source)][-1] = "remembered"
    memory.write_text(json.dumps(facts))
    assert Digests(memory).of(source) == "remembered", "the file is not read again"
    source.write_text("three")
    assert Digests(memory).of(source) == sha256_of(source)
    memory.write_text("{half")
    assert Digests(memory).of(source) == sha256_of(source)
    with pytest.raises(BadInput, match="no such file"):
        Digests().of(tmp_path / "none")
    with pytest.raises(BadInput, match="cannot be read"):
        sha256_of(tmp_path)


def test_json_says_what_is_wrong(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1})
    assert read_json(tmp_path / "a.json") == {"b": 1}
    (tmp_path / "bad.json").write_text("{")
    for name in ("bad.json", "none.json"):
        with pytest.raises(BadInput, match=name):
            read_json(tmp_path / name)


def test_what_a_kill_left_of_a_stored_steps_work_is_swept_and_other_work_is_kept(
    tmp_path: Path,
) -> None:
    """Killed between the rename that stores a step and the end of its checkpoints."""
    store = stored(tmp_path)
    under_way = "train-D-ba9876543210"
    for name in (NAME, under_way):
        (store.work(name) / "updates-000000002").mkdir(parents=True)
    with store.locked():
        assert not store.work(NAME).exists()
        assert store.status(under_way) is Status.PARTIAL
