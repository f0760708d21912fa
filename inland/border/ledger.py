"""The tamper-evident record of every attempt to pass the border, allowed or not.

One JSON line an entry in ``ledger/entries.jsonl``, and a signed ``ledger/checkpoint.json``. The lines are
the leaves of a Merkle tree as RFC 6962 (section 2.1) has it; every line carries the tree's root before it
and a signature, and the checkpoint the root after the last. Nothing personal is ever written: event facts
only.

Always on a local disk, and synced before `append` returns, so that no byte moves before its entry is
durable. With storage.py the only file that opens paths of a site.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from inland.border.keys import check_bytes, public_key, sign_bytes
from inland.border.merkle import grown, inclusion_proof, leaf_hash, root_of, subtrees
from inland.digest import canonical_json
from inland.errors import LedgerFault, SignatureInvalid, SiteError

if TYPE_CHECKING:
    from pathlib import Path

    from inland.site import Site

ENTRY = "ledger entry"
CHECKPOINT = "ledger checkpoint"
FILES = {"entries.jsonl", "checkpoint.json"}
"""All that the ledger's folder may hold: `verify` covers every byte of it."""


@dataclass(frozen=True, slots=True)
class Event:
    """One attempt to pass the border. Facts in clear, nothing personal.

    ``region`` and ``recipient`` are the other side (for ``in``, who sends). ``way`` is transmit, view,
    query or download. ``count`` is the number of things, ``size_bytes`` their bytes. ``approval`` is its id
    or ''. ``location`` is the region in which the actor sits, ``second`` the role of a second person who confirmed,
    ``pack`` the digest of the rules that were asked.
    """

    role: str
    direction: str
    region: str
    recipient: str
    purpose: str
    way: str
    kind: str
    artifact: str
    origins: tuple[str, ...]
    classes: tuple[str, ...]
    count: int
    size_bytes: int
    allowed: bool
    rules: tuple[str, ...]
    needed: tuple[str, ...]
    approval: str = ""
    location: str = ""
    second: str = ""
    pack: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in the ledger: its place ``n`` (from 0), its time, and its leaf hash (hex)."""

    n: int
    t_ns: int
    event: Event
    leaf: str


def append(site: Site, event: Event, *, t_ns: int | None = None) -> Entry:
    """Write one event; durable on disk when this returns. One writer at a time, across processes.

    A tail that a killed writer left is first made good: a whole signed line is kept (nothing had moved
    yet), a torn line is cut off. Raises LedgerFault where what is there does not verify.
    """
    with _locked(site) as folder:
        size, frontier, length = _recovered(site, folder)
        t_ns = time.time_ns() if t_ns is None else t_ns
        body = {"n": size, "root": root_of(frontier).hex(), "t_ns": t_ns, "event": asdict(event)}
        line = _line(body, sign_bytes(site, ENTRY, canonical_json(body)))
        with open(folder / "entries.jsonl", "ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        frontier = grown(frontier, size, leaf_hash(line))
        _write_checkpoint(site, folder, size + 1, frontier, length + len(line))
        return Entry(size, t_ns, event, leaf_hash(line).hex())


def entries(site: Site) -> tuple[Entry, ...]:
    """All entries in order, after `verify`."""
    return tuple(_read(site))


def verify(site: Site) -> str:
    """Check every byte of the ledger; return the tree's root (hex).

    Raises LedgerFault naming the first entry that does not verify: changed, moved, added, dropped or cut off.
    """
    found = _read(site)
    frontier: list[bytes] = []
    for entry in found:
        frontier = grown(frontier, entry.n, bytes.fromhex(entry.leaf))
    return root_of(frontier).hex()


def checkpoint(site: Site) -> dict[str, Any]:
    """The signed checkpoint as it lies there: what to keep elsewhere, and to `verify_since` against later."""
    verify(site)
    path = _folder(site) / "checkpoint.json"
    if not path.exists():
        raise LedgerFault("the ledger has no entry yet", place=str(path), remedy="ask again after the first crossing")
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def verify_since(site: Site, kept: dict[str, Any]) -> str:
    """Check the ledger, and that it has only grown since a checkpoint that was kept elsewhere; return the root.

    Raises LedgerFault where the checkpoint is another site's or not signed, where entries that it covers were changed
    or taken away (a roll-back), or where the ledger itself does not verify.
    """
    place = "the checkpoint that was kept"
    try:
        body = kept["body"]
        check_bytes(public_key(site), CHECKPOINT, canonical_json(body), kept["signature"])
        size, root = int(body["size"]), str(body["root"])
    except (ValueError, KeyError, TypeError, AttributeError, SignatureInvalid) as error:
        raise LedgerFault("this site did not sign it", place=place, remedy="use one that `ledger show` gave") from error
    found = _read(site)
    leaves = [bytes.fromhex(entry.leaf) for entry in found]
    if size > len(leaves):
        raise LedgerFault(
            f"the ledger has {len(leaves)} entries, the checkpoint {size}: it was rolled back",
            place=place,
            remedy=_REMEDY,
        )
    if subtrees(leaves[:size])(0, size).hex() != root:
        raise LedgerFault("entries from before the checkpoint were changed", place=place, remedy=_REMEDY)
    return subtrees(leaves)(0, len(leaves)).hex()


def prove(site: Site, n: int) -> dict[str, Any]:
    """What shows a stranger that entry ``n`` is in the ledger: line, audit path, signed checkpoint, public key.

    `docs/ledger.md` has the twenty lines that check it with the standard library and ``cryptography``. Raises
    LedgerFault where there is no such entry, or the ledger does not verify.
    """
    found = _read(site)
    if not 0 <= n < len(found):
        raise LedgerFault(f"no entry {n}", place=f"{len(found)} entries", remedy="count from 0")
    lines = (_folder(site) / "entries.jsonl").read_bytes().splitlines(keepends=True)
    leaves = [bytes.fromhex(entry.leaf) for entry in found]
    return {
        "n": n,
        "line": lines[n].decode(),
        "proof": [node.hex() for node in inclusion_proof(subtrees(leaves), n, len(leaves))],
        "checkpoint": checkpoint(site),
        "public_key": public_key(site).decode(),
    }


def _read(site: Site) -> list[Entry]:
    """Every entry, each line checked against its signature, its place and the root before it."""
    folder = _folder(site)
    path = folder / "entries.jsonl"
    foreign = sorted({entry.name for entry in folder.iterdir()} - FILES) if folder.is_dir() else []
    if foreign:
        raise LedgerFault(f"not the ledger's: {', '.join(foreign)}", place=str(folder), remedy=_REMEDY)
    data = path.read_bytes() if path.exists() else b""
    found, frontier, length = _checked_lines(site, data, 0, [], str(path))
    if length != len(data):
        raise LedgerFault("the last entry is torn", place=str(path), remedy=_REMEDY)
    if not (folder / "checkpoint.json").exists() and not found:
        return found
    size, kept, kept_length = _read_checkpoint(site, folder)
    if (size, kept, kept_length) != (len(found), frontier, length):
        raise LedgerFault(
            f"the checkpoint is of {size} entries, {len(found)} are there",
            place=str(folder / "checkpoint.json"),
            remedy=_REMEDY,
        )
    return found


_REMEDY = "keep the folder as it is for whoever investigates, and restore the ledger from a backup"


def _checked_lines(
    site: Site, data: bytes, size: int, frontier: list[bytes], place: str
) -> tuple[list[Entry], list[bytes], int]:
    """Entries of ``data`` that follow a tree of ``size`` leaves; also the frontier after, and bytes of
    whole lines."""
    public = public_key(site)
    found: list[Entry] = []
    length = 0
    for line in data.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        n = size + len(found)
        try:
            record = json.loads(line)
            body = record["body"]
            if _line(body, record["signature"]) != line or body["n"] != n or body["root"] != root_of(frontier).hex():
                raise LedgerFault("changed, moved, added or dropped", place=f"{place}, entry {n}", remedy=_REMEDY)
            check_bytes(public, ENTRY, canonical_json(body), record["signature"])
            facts: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in body["event"].items()}
            event = Event(**facts)
            leaf = leaf_hash(line)
            found.append(Entry(n, int(body["t_ns"]), event, leaf.hex()))
        except (ValueError, KeyError, TypeError, AttributeError, SignatureInvalid) as error:
            raise LedgerFault("an entry does not verify", place=f"{place}, entry {n}", remedy=_REMEDY) from error
        frontier = grown(frontier, n, leaf)
        length += len(line)
    return found, frontier, length


def _recovered(site: Site, folder: Path) -> tuple[int, list[bytes], int]:
    """Size, frontier and bytes of the ledger, after making good what a killed writer left behind."""
    path = folder / "entries.jsonl"
    there = path.stat().st_size if path.exists() else 0
    if (folder / "checkpoint.json").exists():
        size, frontier, length = _read_checkpoint(site, folder)
    else:
        size, frontier, length = 0, [], 0
    if there < length:
        raise LedgerFault("entries are missing at the end", place=str(path), remedy=_REMEDY)
    if there == length:
        return size, frontier, length
    with open(path, "r+b") as file:
        file.seek(length)
        found, frontier, whole = _checked_lines(site, file.read(), size, frontier, str(path))
        file.truncate(length + whole)
        os.fsync(file.fileno())
    size, length = size + len(found), length + whole
    _write_checkpoint(site, folder, size, frontier, length)
    return size, frontier, length


def _write_checkpoint(site: Site, folder: Path, size: int, frontier: Sequence[bytes], length: int) -> None:
    body = {
        "site": site.id,
        "size": size,
        "bytes": length,
        "root": root_of(frontier).hex(),
        "frontier": [node.hex() for node in frontier],
    }
    data = _line(body, sign_bytes(site, CHECKPOINT, canonical_json(body)))
    staged = _aside(site) / "checkpoint.json"  # the ledger's own folder holds nothing but what verifies
    with open(staged, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(staged, folder / "checkpoint.json")
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_checkpoint(site: Site, folder: Path) -> tuple[int, list[bytes], int]:
    path = folder / "checkpoint.json"
    try:
        data = path.read_bytes()
        record = json.loads(data)
        body = record["body"]
        check_bytes(public_key(site), CHECKPOINT, canonical_json(body), record["signature"])
        frontier = [bytes.fromhex(node) for node in body["frontier"]]
        if _line(body, record["signature"]) != data or body["site"] != site.id:
            raise ValueError("not as it was written")
        return int(body["size"]), frontier, int(body["bytes"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SignatureInvalid) as error:
        raise LedgerFault("the checkpoint does not verify", place=str(path), remedy=_REMEDY) from error


def _aside(site: Site) -> Path:
    """Where the writers' lock and a checkpoint in the making lie, on the same disk."""
    folder = site.storage.local_path("locks/ledger")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _line(body: dict[str, Any], signature: str) -> bytes:
    return canonical_json({"body": body, "signature": signature}) + b"\n"


def _folder(site: Site) -> Path:
    if not site.storage.is_local:
        raise SiteError("the ledger must lie on a local disk", place=site.root, remedy="use a site in a local folder")
    return site.storage.local_path("ledger")


@contextmanager
def _locked(site: Site) -> Iterator[Path]:
    folder = _folder(site)
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(_aside(site) / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(handle)
