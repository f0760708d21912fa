"""Where a site's bytes live: a local folder, or an S3 bucket by URL. With border/ledger.py the only file that
opens a path or an endpoint of a site.

A local write is atomic and durable: the bytes go to ``scratch/``, are synced, take their name in one step,
and the folder is synced after. Local writes use the system's calls and not obstore, which makes no fsync and
hides ENOSPC.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inland.errors import NoSpace, NotStored, StorageError

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,=@+-]*(/[A-Za-z0-9_][A-Za-z0-9_.,=@+-]*)*")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_counter = itertools.count()


@functools.lru_cache(maxsize=32)
def _object_store(root: str) -> Any:
    from obstore.store import LocalStore, from_url

    return from_url(root) if "://" in root else LocalStore(root)


@dataclass(frozen=True, slots=True)
class Storage:
    """One site's store. ``root`` is an absolute folder or a URL such as ``s3://bucket/prefix``.

    Keys are relative, with ``/`` between segments of letters, digits and ``_.,=@+-``; no segment begins with
    a dot, and no part of a local key may be a symbolic link. Plain data: it may be sent to another process.
    """

    root: str

    @property
    def is_local(self) -> bool:
        """Whether the bytes lie in a folder of this machine."""
        return "://" not in self.root

    def put(self, key: str, data: bytes, if_absent: bool = False, private: bool = False) -> bool:
        """Write ``data`` under ``key``: all of it or nothing, durable when this returns.

        ``if_absent`` leaves an object that is there as it is and returns False. ``private`` makes a local
        file readable by its owner alone. Raises NoSpace where the disk is full: nothing half-written is left.
        """
        if not self.is_local:
            return self._put_remote(key, data, if_absent)
        target = self._path(key)
        staged = self.scratch / f"put-{os.getpid()}-{next(_counter)}"
        try:
            _make_folder(target.parent, Path(self.root))
            _write_synced(staged, data, 0o600 if private else 0o644)
            if if_absent:
                try:
                    os.link(staged, target)
                except FileExistsError:
                    return False
            else:
                os.replace(staged, target)
            _sync_folder(target.parent)
        except OSError as error:
            raise _storage_error(error, key, self.root) from error
        finally:
            with contextlib.suppress(OSError):  # a store that takes nothing must say so, not that it cannot tidy
                staged.unlink(missing_ok=True)
        return True

    def put_file(self, key: str, source: Path) -> None:
        """Give a finished file of ``scratch`` (same disk) its name: synced, renamed, folder synced."""
        if not self.is_local:
            import obstore

            obstore.put(_object_store(self.root), _checked(key), source)
            source.unlink()
            return
        target = self._path(key)
        try:
            _make_folder(target.parent, Path(self.root))
            _sync_file(source)
            os.replace(source, target)
            _sync_folder(target.parent)
        except OSError as error:
            raise _storage_error(error, key, self.root) from error

    def get(self, key: str) -> bytes:
        """All bytes of an object. Raises NotStored."""
        import obstore

        try:
            return bytes(obstore.get(_object_store(self.root), self._readable(key)).bytes())
        except FileNotFoundError as error:
            raise _not_stored(key, self.root) from error

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """``length`` bytes from ``start`` (fewer where the object ends before). Raises NotStored."""
        import obstore

        length = min(length, self.size(key) - start)
        if length <= 0:
            return b""
        return bytes(obstore.get_range(_object_store(self.root), self._readable(key), start=start, length=length))

    def size(self, key: str) -> int:
        """Bytes of an object. Raises NotStored."""
        import obstore

        try:
            return int(obstore.head(_object_store(self.root), self._readable(key))["size"])
        except FileNotFoundError as error:
            raise _not_stored(key, self.root) from error

    def exists(self, key: str) -> bool:
        """Whether an object of that name is there (a folder is none)."""
        if self.is_local:
            return self._path(key).is_file()
        try:
            self.size(key)
        except NotStored:
            return False
        return True

    def list(self, prefix: str = "") -> list[str]:
        """Every key below the folder ``prefix``, sorted; an empty list where there is none."""
        import obstore

        if prefix:
            prefix = _checked(prefix.rstrip("/"))
        if self.is_local and not Path(self.root, prefix).is_dir():
            return []
        batches = obstore.list(_object_store(self.root), prefix=prefix or None)
        return sorted(str(entry["path"]) for batch in batches for entry in batch)

    def has_any(self, prefix: str) -> bool:
        """Whether anything lies below the folder ``prefix``; looks at one batch of the listing alone."""
        import obstore

        if self.is_local and not self._path(prefix).is_dir():
            return False
        return any(len(batch) for batch in obstore.list(_object_store(self.root), prefix=_checked(prefix)))

    def delete(self, key: str) -> None:
        """Remove an object; no error where it is already gone. The folder is synced."""
        if not self.is_local:
            import obstore

            obstore.delete(_object_store(self.root), _checked(key))
            return
        path = self._path(key)
        try:
            path.unlink()
            _sync_folder(path.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _storage_error(error, key, self.root) from error

    def uri(self, key: str) -> str:
        """The name by which Lance opens a table at ``key``."""
        return str(self._path(key)) if self.is_local else f"{self.root.rstrip('/')}/{_checked(key)}"

    def local_path(self, key: str) -> Path:
        """A real path of this object or folder, for libraries that must have one.

        In a folder it is the thing itself: read it, or write below it only what may be half-written. From a
        bucket an object is copied to ``scratch`` first. Raises NotStored for an absent object of a bucket.
        """
        if self.is_local:
            return self._path(key)
        copy = self.scratch / "objects" / hashlib.sha256(_checked(key).encode()).hexdigest()
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(self.get(key))
        return copy

    @property
    def scratch(self) -> Path:
        """A local folder for work in progress; safe to delete between runs."""
        if self.is_local:
            folder = Path(self.root) / "scratch"
        else:
            name = hashlib.sha256(self.root.encode()).hexdigest()[:16]
            folder = Path(tempfile.gettempdir()) / f"inland-{os.getuid()}-{name}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _storage_error(error, "scratch", self.root) from error
        return folder

    @contextmanager
    def workspace(self, name: str) -> Iterator[Path]:
        """A fresh folder below ``scratch`` for this process alone, gone afterwards, whatever happens inside."""
        folder = self.scratch / f"{name}-{os.getpid()}-{next(_counter)}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def emptied(self, folder: str) -> Iterator[Path]:
        """The local folder of that name, empty at the beginning and at the end: hold the writing lock.

        What a killed run left in it goes first.
        """
        path = self._path(folder) if self.is_local else self.scratch / _checked(folder)
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True, mode=0o700)
        try:
            yield path
        finally:
            for entry in list(path.iterdir()):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def stage(self, folder: Path, name: str, data: bytes) -> Path:
        """Write a file of a working folder, later to be given its name by `put_file`. Raises NoSpace."""
        path = folder / name
        try:
            path.write_bytes(data)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise _storage_error(error, name, self.root) from error
        return path

    def make_folder(self, key: str, private: bool = False) -> None:
        """Make a local folder; a bucket needs none."""
        if self.is_local:
            _make_folder(self._path(key), Path(self.root))
            if private:
                os.chmod(self._path(key), 0o700)

    def remove_tree(self, key: str) -> None:
        """Remove everything below ``key``."""
        if self.is_local:
            shutil.rmtree(self._path(key), ignore_errors=True)
            return
        for name in self.list(key):
            self.delete(name)

    def sync(self, prefix: str, since_ns: int = 0) -> None:
        """Make durable what another library wrote below ``prefix``: files changed since ``since_ns`` (by
        their own times, 0 for all) and their folders. Nothing to do on a bucket."""
        if not self.is_local:
            return
        for folder, _, names in os.walk(self._path(prefix), topdown=False):
            changed = False
            for name in names:
                path = Path(folder, name)
                try:
                    if path.stat().st_mtime_ns >= since_ns:
                        _sync_file(path)
                        changed = True
                except FileNotFoundError:
                    continue
            if changed or since_ns == 0:
                _sync_folder(Path(folder))
        _sync_folder(self._path(prefix).parent)

    def error(self, error: OSError, what: str) -> StorageError:
        """An operating system's error as ours: NoSpace where the disk is full, else StorageError."""
        return _storage_error(error, what, self.root)

    def _path(self, key: str) -> Path:
        path = Path(self.root)
        for segment in _checked(key).split("/"):
            path = path / segment
            if path.is_symlink():
                raise StorageError(
                    "a symbolic link stands where a site's file belongs",
                    place=str(path),
                    remedy="remove the link; a site holds its bytes itself",
                )
        return path

    def _readable(self, key: str) -> str:
        if self.is_local and not self._path(key).is_file():
            raise _not_stored(key, self.root)
        return _checked(key)

    def _put_remote(self, key: str, data: bytes, if_absent: bool) -> bool:
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            store = _object_store(self.root)
            obstore.put(store, _checked(key), data, mode="create" if if_absent else "overwrite")
        except AlreadyExistsError:
            return False
        return True


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key) or ".." in key.split("/"):
        raise StorageError(
            f"not a key: {key!r}",
            remedy="use letters, digits and _.,=@+- in segments with / between; no segment begins with a dot",
        )
    return key


def _not_stored(key: str, root: str) -> NotStored:
    return NotStored(f"nothing is stored as {key}", place=root, remedy="check the name; it may have been erased")


def _storage_error(error: OSError, key: str, root: str) -> StorageError:
    if error.errno in _FULL:
        return NoSpace(
            f"the disk is full; {key} was not written",
            place=root,
            remedy="free some space (SITE/scratch is safe to delete) and run the same command again",
        )
    return StorageError(f"could not write {key}: {error.strerror or error}", place=root, remedy="check its rights")


def _write_synced(path: Path, data: bytes, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(path: Path) -> None:
    _sync_file(path)


def _make_folder(path: Path, root: Path) -> None:
    """Make ``path`` and its parents up to ``root``, each made durable in its parent."""
    missing = []
    while path != root and not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)
