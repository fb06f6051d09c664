import errno
import json
import os
import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rankscope.core.errors import BadInput, DamagedArtifact, MissingArtifact, NotWritable
from rankscope.core.input_files import sha256_of
from rankscope.store import durable
from rankscope.store import fingerprint as fingerprint_module
from rankscope.store.artifacts import BEGUN, MANIFEST, Status, Store, read_json, write_json
from rankscope.store.files import temporary_folder, write_text, written_whole
from rankscope.store.fingerprint import Digests, fingerprint
from rankscope.store.refusals import explained, explained_full

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


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the disk is made to take, and what gets another name, from now on, in that order."""
    told: list[str] = []
    sync, replace = os.fsync, Path.replace

    def syncing(handle: int) -> None:
        told.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        sync(handle)

    def replacing(made: Path, wanted: Path) -> Path:
        told.append(f"{made.name} -> {wanted.name}")
        return replace(made, wanted)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(Path, "replace", replacing)
    return told


def test_the_disk_has_all_of_an_artifact_before_it_gets_its_place(
    tmp_path: Path, done: list[str]
) -> None:
    """Else a power cut would leave it there with files that are empty."""
    stored(tmp_path)
    steps = tmp_path / "study" / "steps"
    (at,) = (n for n, each in enumerate(done) if each.endswith(f" -> {NAME}"))
    aside = steps / done[at].split()[0]
    everything = {".", "model", "model/weights", MANIFEST}
    assert {str(aside / each) for each in everything} <= set(done[:at])
    assert str(steps) in done[at + 1 :], "and that it has its place"


def test_a_file_system_that_cannot_take_a_folder_at_once_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def refusing(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").is_dir():
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(handle)

    monkeypatch.setattr(os, "fsync", refusing)
    assert stored(tmp_path).status(NAME) is Status.DONE

    def broken(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        durable.synced(tmp_path)


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


@pytest.mark.parametrize("extra", ["notes.txt", "model/modules.json", "more/modules.json"])
def test_a_file_that_does_not_belong_to_an_artifact_is_named(tmp_path: Path, extra: str) -> None:
    """Of a model's folder, a library would read it."""
    path = stored(tmp_path).folder(NAME) / extra
    path.parent.mkdir(exist_ok=True)
    path.write_text("[]")
    fresh = Store(tmp_path / "study")
    assert fresh.status(NAME) is Status.DAMAGED
    with pytest.raises(DamagedArtifact, match=rf"{extra}: this file does not belong .* Move it"):
        fresh.open(NAME)
    path.unlink()
    assert fresh.status(NAME) is Status.DONE


def test_a_link_that_leads_nowhere_does_not_belong_to_an_artifact(tmp_path: Path) -> None:
    (stored(tmp_path).folder(NAME) / "link").symlink_to("nowhere")
    assert Store(tmp_path / "study").status(NAME) is Status.DAMAGED


@pytest.mark.parametrize("hidden", [".DS_Store", "model/.nfs0000", ".ipynb_checkpoints/a.json"])
def test_hidden_files_are_nothing_to_an_artifact(tmp_path: Path, hidden: str) -> None:
    path = stored(tmp_path).folder(NAME) / hidden
    path.parent.mkdir(exist_ok=True)
    path.write_text("[]")
    assert Store(tmp_path / "study").status(NAME) is Status.DONE


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


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read from now on, by a clock that is an hour ahead: all of them are settled."""
    read: list[Path] = []

    def counting(path: Path) -> str:
        read.append(path)
        return sha256_of(path)

    monkeypatch.setattr(fingerprint_module, "sha256_of", counting)
    now = time.time_ns
    ahead = SimpleNamespace(time_ns=lambda: now() + 3_600 * 10**9)
    monkeypatch.setattr(fingerprint_module, "time", ahead)
    return read


def test_digests_are_remembered_and_notice_a_change(tmp_path: Path, reads: list[Path]) -> None:
    source, memory = tmp_path / "docs.jsonl", tmp_path / "sources.json"
    source.write_text("one")
    digests = Digests(memory)
    first = digests.of(source)
    digests.remember()
    again = Digests(memory)
    assert first == sha256_of(source) == again.of(source)
    assert reads == [source], "the file is not read again"
    source.write_text("three")
    assert Digests(memory).of(source) == sha256_of(source) != first
    assert again.notes == []
    with pytest.raises(BadInput, match="no such file"):
        Digests().of(tmp_path / "none")
    with pytest.raises(BadInput, match="cannot be read"):
        sha256_of(tmp_path)


def put_back(source: Path) -> None:
    """As `touch -r`: other bytes, of the old size, at the old time."""
    seen = source.stat()
    source.write_text("two")
    os.utime(source, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def untarred(source: Path) -> None:
    """A tar whose files have one fixed time, as reproducible ones have."""
    aside = source.with_name("aside")
    aside.write_text("two")
    os.utime(aside, ns=(0, 0))
    with tarfile.open(source.with_name("a.tar"), "w") as tar:
        tar.add(aside, source.name)
    with tarfile.open(source.with_name("a.tar")) as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # from 3.11.4 on
        tar.extractall(source.parent)
    assert source.stat().st_mtime_ns == 0


@pytest.mark.parametrize("change", [put_back, untarred])
def test_other_bytes_of_the_same_size_and_time_are_seen(
    tmp_path: Path, reads: list[Path], change: Callable[[Path], None]
) -> None:
    source, memory = tmp_path / "docs.jsonl", tmp_path / "sources.json"
    source.write_text("one")
    os.utime(source, ns=(0, 0))
    digests = Digests(memory)
    first = digests.of(source)
    digests.remember()
    time.sleep(0.02)  # a tick of the file system's clock: within one, see below
    change(source)
    assert digests.of(source) == Digests(memory).of(source) == sha256_of(source) != first


@pytest.mark.parametrize("mark", ["st_size", "st_ino", "st_mtime_ns", "st_ctime_ns"])
def test_each_mark_of_a_file_alone_shows_that_it_was_changed(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch, mark: str
) -> None:
    """Such as the time of its bytes alone: in place, to the same size, where the inode's time is not kept."""
    source = tmp_path / "docs.jsonl"
    source.write_text("one")
    marks = {"st_size": 3, "st_ino": 1, "st_mtime_ns": 0, "st_ctime_ns": 0}
    monkeypatch.setattr(Path, "stat", lambda _, **__: SimpleNamespace(**marks))
    digests = Digests()
    digests.of(source)
    assert digests.of(source) == sha256_of(source)
    assert len(reads) == 1, "nothing was changed, so it is not read again"
    source.write_text("two")
    marks[mark] += 1
    assert digests.of(source) == sha256_of(source)
    assert len(reads) == 2


def test_a_file_of_a_moment_ago_is_read_each_time(tmp_path: Path) -> None:
    """Within a tick of the clock it may change again without a mark."""
    source, memory = tmp_path / "docs.jsonl", tmp_path / "sources.json"
    digests = Digests(memory)
    for text in ("one", "two", "six"):
        source.write_text(text)
        os.utime(source, ns=(0, 0))
        assert digests.of(source) == sha256_of(source)
        digests.remember()
        assert str(source) not in json.loads(memory.read_text())["files"]


@pytest.mark.parametrize(
    "found", ["null", "[]", "3", "{half", "", "{}", '{"files": null, "sha256": ""}', "[" * 100_000, "one", "\xff"]
)  # fmt: skip
def test_a_damaged_memory_of_sources_is_made_anew_with_a_word(
    tmp_path: Path, reads: list[Path], found: str
) -> None:
    """Also where one digest in it was changed ("one"): it would have been believed."""
    source, memory = tmp_path / "docs.jsonl", tmp_path / "sources.json"
    source.write_text("one")
    digests = Digests(memory)
    right = digests.of(source)
    digests.remember()
    whole = memory.read_text()
    memory.write_bytes(
        (whole.replace(right, "0" * 64) if found == "one" else found).encode("latin-1")
    )
    anew = Digests(memory)
    assert anew.of(source) == right
    (said,) = anew.notes
    assert "sources.json: not what was written" in said
    anew.remember()
    assert memory.read_text() == whole
    assert {path.name for path in tmp_path.iterdir()} == {"docs.jsonl", "sources.json"}


def test_a_memory_of_sources_of_an_earlier_version_is_forgotten_without_a_word(
    tmp_path: Path, reads: list[Path]
) -> None:
    """It knew a file by size and time of change alone, so what it says is not believed; it is no damage."""
    source, memory = tmp_path / "docs.jsonl", tmp_path / "sources.json"
    source.write_text("one")
    seen = source.stat()
    memory.write_text(json.dumps({str(source): [seen.st_size, seen.st_mtime_ns, "0" * 64]}))
    anew = Digests(memory)
    assert anew.notes == []
    assert anew.of(source) == sha256_of(source)
    anew.remember()
    assert Digests(memory).of(source) == sha256_of(source)
    assert reads == [source], "it is written anew"


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


# -- manifests -----------------------------------------------------------------------------------

EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a number of the summary": lambda m: m["summary"].update(n=99),
    "the files": lambda m: m["files"].clear(),
    "a version": lambda m: m["versions"].update(torch="0"),
    "without its sum": lambda m: m.pop("sha256"),
    "another sum": lambda m: m.update(sha256="0" * 64),
    "one field more": lambda m: m.update(more=1),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_manifest_is_not_believed(
    tmp_path: Path, edit: Callable[[dict[str, Any]], object]
) -> None:
    path = stored(tmp_path).folder(NAME) / MANIFEST
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))
    fresh = Store(tmp_path / "study")
    assert fresh.status(NAME) is Status.DAMAGED
    with pytest.raises(DamagedArtifact, match=r"manifest\.json: .*--retry"):
        fresh.open(NAME)


@pytest.mark.parametrize(
    "text", ["null", "[1]", "[[1, 2]]", "3", '{"files": []}', '{"files": {"a": 3}}', "[" * 100_000,
             '{"files": {}, "summary": 3}'],
)  # fmt: skip
def test_what_is_no_manifest_is_damage(tmp_path: Path, text: str) -> None:
    (stored(tmp_path).folder(NAME) / MANIFEST).write_text(text)
    assert Store(tmp_path / "study").status(NAME) is Status.DAMAGED


def test_a_manifest_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """It has no sum and knows no bytes of its inputs; `origin` tells."""
    store = stored(tmp_path)
    path = store.folder(NAME) / MANIFEST
    old = {k: v for k, v in json.loads(path.read_text()).items() if k not in {"sha256", "rests_on"}}
    path.write_text(json.dumps(old))
    assert Store(store.root).status(NAME, {"start": NAME}) is Status.DONE


def test_an_artifact_is_stale_when_an_input_has_other_bytes(tmp_path: Path) -> None:
    store, above = stored(tmp_path), "rerank-C.test-ba9876543210"
    needs = {"ranker": NAME}
    with store.writing(above, {"rests_on": {"ranker": store.content(NAME)}}) as (out, _):
        (out / "run").write_text("a run")
    assert store.status(above, needs) is Status.DONE
    for weights, status in ((b"12345", Status.DONE), (b"54321", Status.STALE)):
        store.forget(NAME)
        with store.writing(NAME, {"seconds": 3}) as (out, _):
            (out / "model").mkdir()
            (out / "model" / "weights").write_bytes(weights)
        assert store.status(above, needs) is status
    store.forget(NAME)
    assert store.status(above, needs) is Status.DONE, "what is missing is made first"


def test_an_artifact_that_is_replaced_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    store = stored(tmp_path)
    with pytest.raises(RuntimeError), store.writing(NAME, {}, replaces=True) as (out, _):
        (out / "half").write_text("half")
        raise RuntimeError
    assert (store.open(NAME) / "model" / "weights").read_bytes() == b"12345"
    with store.writing(NAME, {}, replaces=True) as (out, _):
        (out / "new").write_text("new")
    assert [path.name for path in (store.root / "steps").iterdir()] == [NAME]
    assert (store.open(NAME) / "new").read_text() == "new"


# -- work under way --------------------------------------------------------------------------------


def under_way(store: Store, name: str, inputs: dict[str, str | None]) -> Path:
    assert store.begin(name, inputs) == []
    place = store.work(name) / "updates-000000002"
    place.mkdir()
    return place


def test_a_renamed_step_keeps_its_checkpoints_whether_it_was_stored_before_or_not(
    tmp_path: Path,
) -> None:
    store, renamed = stored(tmp_path), NAME.replace("-C-", "-D-")
    place = under_way(store, renamed, {"start": "1"})
    with store.locked():
        assert place.is_dir(), "it is under way, though its identity is stored by another name"
    assert store.begin(NAME, {"start": "1"}) == [], "and again by the old name"
    assert place.is_dir()
    with store.locked():
        assert not place.exists(), "lost between the rename and its end"


def test_checkpoints_begun_with_other_inputs_are_not_gone_on_from(tmp_path: Path) -> None:
    store = Store(tmp_path)
    place = under_way(store, NAME, {"start": "1"})
    assert store.begin(NAME, {"start": "1"}) == []
    assert place.is_dir()
    (said,) = store.begin(NAME, {"start": "2"})
    assert "begun with other bytes of its inputs" in said
    assert not place.exists()


@pytest.mark.parametrize("record", [None, "", "null", "{}", "[" * 100_000])
def test_checkpoints_of_which_nobody_knows_are_not_gone_on_from(
    tmp_path: Path, record: str | None
) -> None:
    store = Store(tmp_path)
    place = under_way(store, NAME, {})
    begun = store.work(NAME) / BEGUN
    begun.unlink() if record is None else begun.write_text(record)
    (said,) = store.begin(NAME, {})
    assert "starts again" in said
    assert not place.exists()


def test_work_begun_under_other_versions_is_told_and_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    from rankscope.store import artifacts

    here = artifacts.versions()
    with monkeypatch.context() as patch:
        patch.setattr(artifacts, "versions", lambda: here | {"torch": "1.0"})
        under_way(store, NAME, {})
    (said,) = store.begin(NAME, {})
    assert f"begun under torch 1.0 (here {here['torch']})" in said
    with store.writing(NAME, {}):
        pass
    assert [each["torch"] for each in store.manifest(NAME)["begun_under"]] == ["1.0"]


def test_the_metadata_of_a_package_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from rankscope.store import artifacts

    read: list[str] = []
    monkeypatch.setattr(artifacts, "version", lambda package: read.append(package) or "1.0")
    artifacts._version.cache_clear()
    try:
        assert [artifacts.versions()["torch"] for _ in range(2)] == ["1.0", "1.0"]
    finally:
        artifacts._version.cache_clear()
    assert sorted(read) == sorted(artifacts.PACKAGES)


# -- places where people read ------------------------------------------------------------------------


def pages(folder: Path, what: str) -> dict[Path, Path]:
    """Three files to be put beside each other, 4,000 bytes each."""
    made = folder / what
    made.mkdir()
    for name in ("a.html", "b.csv", "c.tex"):
        (made / name).write_text(what * 1_000)
    return {made / name: folder / "shown" / name for name in ("a.html", "b.csv", "c.tex")}


@pytest.mark.parametrize("fails_at", [0, 1, 2])
def test_on_a_full_disk_what_people_read_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    durable.put(pages(tmp_path, "old!"))
    new, copied = pages(tmp_path, "new!"), [0]

    def full(made: Path, wanted: Path) -> None:
        if copied[0] == fails_at:
            wanted.write_bytes(made.read_bytes()[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        copied[0] += 1
        wanted.write_bytes(made.read_bytes())

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(NotWritable, match="Free some space"), explained(tmp_path):
            durable.put(new)
    shown = tmp_path / "shown"
    assert {path.read_text() for path in shown.iterdir()} == {"old!" * 1_000}
    assert len(list(shown.iterdir())) == 3
    durable.put(new)
    assert {path.read_text() for path in shown.iterdir()} == {"new!" * 1_000}


@pytest.mark.parametrize("dies_at", range(7))
def test_whenever_a_process_dies_each_file_is_the_old_one_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    """It dies before the n-th of the disk's syncs and renames, in place of which nothing more is done."""
    durable.put(pages(tmp_path, "old!"))
    new, n, gone = pages(tmp_path, "new!"), [0], Path.unlink

    def dying(whole: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object) -> object:
            n[0] += 1
            if n[0] > dies_at:
                raise KeyboardInterrupt
            return whole(*given)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(durable, "synced", dying(durable.synced))
        patch.setattr(Path, "replace", dying(Path.replace))
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            durable.put(new)
    assert gone is Path.unlink
    shown = [path for path in (tmp_path / "shown").iterdir() if not path.name.startswith(".")]
    assert len(shown) == 3
    texts = {path.read_text() for path in shown}
    assert texts <= {"old!" * 1_000, "new!" * 1_000}
    assert len(texts) == (1 if dies_at <= 3 or dies_at == 6 else 2)


def test_what_is_there_already_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a study with everything stored can be run on a full disk."""
    copies = pages(tmp_path, "same")
    durable.put(copies)
    monkeypatch.setattr(shutil, "copyfile", None)
    durable.put(copies)


def test_a_file_asked_for_leaves_no_part_behind(tmp_path: Path) -> None:
    write_text(tmp_path / "out.txt", "whole")
    with pytest.raises(RuntimeError), written_whole(tmp_path / "out.txt") as aside:
        aside.write_text("half")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]
    assert (tmp_path / "out.txt").read_text() == "whole"


def numpys() -> None:
    raise OSError(f"{np.int64(10000)} requested and 109 written")


def tokenizers() -> None:
    raise Exception("File too large (os error 27)")


@pytest.mark.parametrize("library", [numpys, tokenizers])
def test_a_full_disk_is_one_sentence_whichever_library_meets_it(
    tmp_path: Path, library: Callable[[], None]
) -> None:
    with pytest.raises(NotWritable, match="Free some space"), explained_full(tmp_path):
        library()


def test_a_full_disk_under_temporary_files_is_one_sentence() -> None:
    """`search` and `rerank` ended in a traceback where /tmp is full."""
    with (
        pytest.raises(NotWritable, match=r"rankscope-.*No space left"),
        temporary_folder() as folder,
    ):
        raise OSError(errno.ENOSPC, "No space left on device", str(folder / "docs.jsonl"))
    assert not folder.exists()
