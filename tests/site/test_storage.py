"""Storage: all of an object or nothing, on disk when it says so, and nowhere but below its root."""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inland import storage as storage_module
from inland.errors import NoSpace, NotStored, StorageError
from inland.storage import Storage

segments = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.,=@+-]{0,20}", fullmatch=True)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    (tmp_path / "store").mkdir()
    return Storage(str(tmp_path / "store"))


@settings(max_examples=30, deadline=None)
@given(key=st.lists(segments, min_size=1, max_size=4).map("/".join), data=st.binary(max_size=200))
def test_what_is_put_is_what_is_got(tmp_path_factory: pytest.TempPathFactory, key: str, data: bytes) -> None:
    store = Storage(str(tmp_path_factory.mktemp("store")))
    assert store.put(key, data)
    assert store.get(key) == data
    assert store.size(key) == len(data)
    assert store.list() == [key]
    assert store.exists(key)
    store.delete(key)
    assert not store.exists(key)
    assert store.list() == []


def test_an_object_that_is_there_stays_if_absent_is_asked_for(storage: Storage) -> None:
    assert storage.put("a/b", b"first", if_absent=True)
    assert not storage.put("a/b", b"second", if_absent=True)
    assert storage.get("a/b") == b"first"
    assert storage.put("a/b", b"third")
    assert storage.get("a/b") == b"third"
    assert storage.list("scratch") == []


def test_ranges_end_where_the_object_ends(storage: Storage) -> None:
    storage.put("a", b"0123456789")
    assert storage.get_range("a", 3, 4) == b"3456"
    assert storage.get_range("a", 8, 10) == b"89"
    assert storage.get_range("a", 20, 1) == b""


def test_what_is_absent_is_named(storage: Storage) -> None:
    for ask in (storage.get, storage.size, lambda key: storage.get_range(key, 0, 1)):
        with pytest.raises(NotStored, match="media/ab/abc"):
            ask("media/ab/abc")
    assert storage.list("media") == []
    assert not storage.has_any("media")
    storage.delete("media/ab/abc")


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/.hidden", "a b", "a\x00", "a\n"])
def test_keys_stay_below_the_root(storage: Storage, key: str) -> None:
    for ask in (storage.get, storage.exists, storage.uri, storage.local_path, lambda key: storage.put(key, b"")):
        with pytest.raises(StorageError, match="not a key"):
            ask(key)


def test_symbolic_links_are_refused(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    os.symlink(tmp_path / "outside", Path(storage.root) / "media")
    for ask in (storage.get, storage.exists, lambda key: storage.put(key, b"x")):
        with pytest.raises(StorageError, match="symbolic link"):
            ask("media/secret")
    assert (tmp_path / "outside" / "secret").read_bytes() == b"secret"


def test_bytes_and_folder_are_synced_before_put_returns(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd))[1])
    storage.put("a/b/c", b"x")
    root = storage.root
    assert synced.index(root) < synced.index(f"{root}/a")  # each new folder in its parent
    file = next(name for name in synced if "scratch/put-" in name)
    assert synced.index(file) < synced.index(f"{root}/a/b")
    assert synced[-1] == f"{root}/a/b"


def test_a_failure_at_any_system_call_leaves_the_old_object_or_the_new_one(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("write", "fsync", "replace"):
        storage.put("a", b"old")
        with monkeypatch.context() as patch:
            patch.setattr(os, name, lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            with pytest.raises(NoSpace, match="disk is full") as caught:
                storage.put("a", b"new")
        assert "free some space" in caught.value.remedy
        assert storage.get("a") == b"old"
        assert storage.list() == ["a"]


LIMITED = """
import resource, signal, sys
from inland.errors import NoSpace
from inland.storage import Storage
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    Storage(sys.argv[1]).put("big", bytes(5000))
except NoSpace:
    print("no space")
"""


def test_a_write_that_the_system_cuts_short_leaves_nothing(storage: Storage) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(storage_module.__file__).parents[1])}
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, storage.root], capture_output=True, text=True, check=True, env=environment
    )
    assert run.stdout == "no space\n"
    assert storage.list() == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_storage_travels_to_another_process(storage: Storage) -> None:
    storage.put("a", b"x")
    assert pickle.loads(pickle.dumps(storage)).get("a") == b"x"


def test_working_folders_are_gone_whatever_happens_inside(storage: Storage) -> None:
    folders = []

    def fail() -> None:
        with storage.workspace("work") as folder:
            folders.append(folder)
            storage.stage(folder, "x", b"1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not folders[0].exists()
    with storage.emptied("landing") as landing:
        (landing / "left").write_bytes(b"by a killed run")
    with storage.emptied("landing") as landing:
        assert list(landing.iterdir()) == []
        storage.put_file("media/x", storage.stage(landing, "x", b"1"))
    assert storage.get("media/x") == b"1"


def test_a_bucket_holds_to_the_same() -> None:
    store = Storage("memory:///bucket")  # obstore's stand-in for one: no conditional put is weaker than S3's
    assert store.put("a/b", b"0123")
    assert not store.put("a/b", b"other", if_absent=True)
    assert store.put("a/c", b"4", if_absent=True)
    assert (store.get("a/b"), store.size("a/b"), store.get_range("a/b", 2, 9)) == (b"0123", 4, b"23")
    assert store.list("a") == store.list() == ["a/b", "a/c"]
    assert store.has_any("a")
    assert not store.has_any("b")
    assert store.local_path("a/b").read_bytes() == b"0123"
    with store.workspace("work") as folder:
        store.put_file("a/d", store.stage(folder, "d", b"5"))
    store.remove_tree("a")
    assert store.list() == []
    with pytest.raises(NotStored):
        store.get("a/b")
    assert not store.exists("a/b")
    assert store.uri("lake/clips.lance") == "memory:///bucket/lake/clips.lance"
