"""A site: one training centre with one region, one root and one writer at a time.

``site.json`` is written last by `init_site`, so a folder either is a whole site or is none.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inland.errors import BadInput, NotStored, SiteBusy, SiteError
from inland.storage import Storage

REVISION = 1
"""The layout of a site's folders; raised when an older site cannot be read as it is."""
FOLDERS = (
    "landing",
    "quarantine",
    "lake",
    "custody",
    "media",
    "datasets",
    "models",
    "scores",
    "releases",
    "fleet",
)
_PSEUDONYM_KEY = "keys/pseudonym.key"

_held: dict[str, tuple[int, int]] = {}  # root -> (file handle, depth); the lock may be taken again inside itself
_held_by = threading.RLock()


@dataclass(frozen=True, slots=True)
class Site:
    """One training centre. ``root`` is its folder or URL; every byte goes through ``storage``.

    ``creator`` is the jurisdiction of whoever set it up, '' where not said. Plain data: it may be sent to
    another process, which must then not write.
    """

    id: str
    region: str
    root: str
    storage: Storage
    creator: str = ""

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the site's writing lock; a station inside a turn may take it again in the same process.

        The lock is the kernel's: a killed writer leaves none behind. Raises SiteBusy naming the process that
        holds it. For a site in a bucket it guards one machine.
        """
        with _held_by:
            handle, depth = _held.get(self.root, (-1, 0))
            if depth == 0:
                handle = _lock(self._lock_path())
            _held[self.root] = (handle, depth + 1)
        try:
            yield
        finally:
            with _held_by:
                handle, depth = _held.pop(self.root)
                if depth > 1:
                    _held[self.root] = (handle, depth - 1)
                else:
                    os.ftruncate(handle, 0)
                    os.close(handle)

    def _lock_path(self) -> Path:
        return (Path(self.root) if self.storage.is_local else self.storage.scratch) / "lock"

    def pseudonym(self, kind: str, raw: str) -> str:
        """A stable stand-in for a personal identifier: HMAC-SHA256 under the site's own key, 16 hex digits.

        Another site gives another one, so no split and no digest may depend on its value.
        """
        if not raw:
            return ""
        key = bytes.fromhex(self.storage.get(_PSEUDONYM_KEY).decode())
        return f"{kind}-" + hmac.new(key, f"{kind}:{raw}".encode(), hashlib.sha256).hexdigest()[:16]


def init_site(path: str | Path, region: str, creator: str = "") -> Site:
    """Make a site at ``path`` (a folder, or a URL such as ``s3://bucket/prefix``) and return it.

    A site of the same region and creator that is already there is returned as it is. Raises SiteError where
    another site or other files stand there, BadInput for a region that is no short lower-case name.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,15}", region):
        raise BadInput(f"not a region: {region!r}", remedy="use a short lower-case name such as cn, eu or us")
    root = _absolute(path)
    if is_site(path):
        there = open_site(path)
        if (there.region, there.creator) != (region, creator):
            raise SiteError(
                f"a site of region {there.region!r} (creator {there.creator!r}) is already here",
                place=root,
                remedy="choose another folder; a site never changes its region",
            )
        return there
    storage = Storage(root)
    if storage.is_local:
        _refuse_foreign_files(Path(root))
        try:
            Path(root).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SiteError(f"cannot make a folder here: {error.strerror}", place=root) from error
    for folder in FOLDERS:
        storage.make_folder(folder, private=folder in ("custody", "landing", "quarantine"))
    storage.make_folder("keys", private=True)
    storage.put(_PSEUDONYM_KEY, secrets.token_hex(32).encode(), if_absent=True, private=True)
    # Secrets are the one thing that no seed may give; the id follows from them, so that it differs by site.
    ident = f"{region}-{hashlib.sha256(b'site-id' + storage.get(_PSEUDONYM_KEY)).hexdigest()[:12]}"
    record = {"id": ident, "region": region, "creator": creator, "revision": REVISION}
    made = Site(id=ident, region=region, root=root, storage=storage, creator=creator)
    _make_keys(made)
    storage.put("site.json", json.dumps(record, sort_keys=True, indent=1).encode() + b"\n")
    return made


def is_site(path: str | Path) -> bool:
    """Whether a site of any revision is at ``path``."""
    root = _absolute(path)
    if "://" not in root and not Path(root).is_dir():
        return False
    return Storage(root).exists("site.json")


def open_site(path: str | Path) -> Site:
    """Open a site. Raises SiteError where there is none, or one of another revision."""
    root = _absolute(path)
    remedy = "make one with `inland init SITE --region cn`"
    if "://" not in root and not Path(root).is_dir():
        raise SiteError("no such folder, so no site", place=root, remedy=remedy)
    storage = Storage(root)
    try:
        record = json.loads(storage.get("site.json"))
        ident, region, creator = str(record["id"]), str(record["region"]), str(record.get("creator", ""))
        revision = int(record["revision"])
    except NotStored as error:
        raise SiteError("not a site: it has no site.json", place=root, remedy=remedy) from error
    except (ValueError, KeyError, TypeError) as error:
        raise SiteError("site.json is damaged", place=root, remedy="restore it from a backup") from error
    if revision != REVISION:
        raise SiteError(
            f"a site of revision {revision}; this version of Inland reads revision {REVISION}",
            place=root,
            remedy="use the version of Inland that made it, or make a new site and ingest its logs again",
        )
    return Site(id=ident, region=region, root=root, storage=storage, creator=creator)


def _make_keys(site: Site) -> None:
    from inland.border.keys import ensure_keys  # loads cryptography, which --help does without

    ensure_keys(site)


def _absolute(path: str | Path) -> str:
    text = str(path)
    return text.rstrip("/") if "://" in text else str(Path(text).expanduser().resolve())


def _refuse_foreign_files(root: Path) -> None:
    """A first attempt that was killed leaves only our own folders; anything else is somebody's."""
    if root.exists() and not root.is_dir():
        raise SiteError("a file stands where the site should be", place=str(root), remedy="choose another folder")
    if root.is_dir():
        foreign = sorted({entry.name for entry in root.iterdir()} - {*FOLDERS, "keys", "scratch", "lock"})
        if foreign:
            raise SiteError(
                f"the folder is not empty: {', '.join(foreign[:5])}",
                place=str(root),
                remedy="choose an empty folder",
            )


def _lock(path: Path) -> int:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise SiteError(
            f"cannot write to this site: {error.strerror}", place=str(path.parent), remedy="check the folder's rights"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(handle, 4096).decode(errors="replace").strip() or "a process that is just starting"
        os.close(handle)
        raise SiteBusy(
            f"another process is writing to this site: {holder}",
            place=str(path.parent),
            remedy="wait until it has finished; reading is possible meanwhile",
        ) from error
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:2000]
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"pid {os.getpid()}, {command}\n".encode(), 0)
    return handle
