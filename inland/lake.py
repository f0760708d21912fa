"""The lake: tables (Lance) that only grow. One writer (`Site.writing`), many readers; every commit is atomic,
durable and idempotent by ``id``. Heavy (lance): import it lazily.

A commit is made in two steps so that a power cut cannot leave a table whose newest version has no bytes: the
data files are written and synced, then the version that names them is committed and synced (Lance syncs nothing).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import lance
import pyarrow as pa
import pyarrow.compute as pc
from lance.fragment import write_fragments

from inland.clip import Clip
from inland.clip_rows import CLIPS, clip_from_rows, clip_row
from inland.errors import BadInput, NoSpace, SiteError, StorageError
from inland.site import Site

_STRINGS = pa.list_(pa.string())
POSITIONS = pa.schema(
    [
        ("id", pa.string()),  # the clip's
        ("t_ns", pa.list_(pa.int64())),
        ("latitude_deg", pa.list_(pa.float64())),
        ("longitude_deg", pa.list_(pa.float64())),
    ]
)
"""Absolute places of a clip, WGS 84: in custody, never read by training."""
LABELS = pa.schema(
    [
        ("id", pa.string()),
        ("clip", pa.string()),
        ("source", pa.string()),  # hindsight, ...
        ("revision", pa.int32()),
        ("t_ns", pa.list_(pa.int64())),
        (
            "fields",  # each (N, width) row by row, N the number of times, NaN where masked
            pa.list_(pa.struct([("name", pa.string()), ("width", pa.int32()), ("value", pa.list_(pa.float32()))])),
        ),
    ]
)
TAGS = pa.schema(
    [
        ("id", pa.string()),
        ("clip", pa.string()),
        ("name", pa.string()),
        ("start_ns", pa.int64()),
        ("end_ns", pa.int64()),
        ("reason", pa.string()),
        ("revision", pa.int32()),
    ]
)
ARTIFACTS = pa.schema(
    [
        ("id", pa.string()),  # the artifact's digest
        ("kind", pa.string()),  # dataset, samples, model, scorecard, release, ...
        ("parents", _STRINGS),  # ids of artifacts or clips
        ("origins", _STRINGS),  # regions
        ("developers", _STRINGS),  # jurisdictions
        ("classes", _STRINGS),
        ("station", pa.string()),
        ("revision", pa.int32()),
        ("created_by", pa.string()),  # the site
        ("details", pa.string()),  # JSON
    ]
)
SUPERSEDED = pa.schema(
    [
        ("id", pa.string()),  # the clip's that gives way
        ("by", pa.string()),  # the longer clip's, of the same drive and start
    ]
)
SCHEMA_REVISION = 1
TABLES: Mapping[str, tuple[str, pa.Schema]] = {
    "clips": ("lake/clips.lance", CLIPS),
    "positions": ("custody/positions.lance", POSITIONS),
    "superseded": ("lake/superseded.lance", SUPERSEDED),
    "labels": ("lake/labels.lance", LABELS),
    "tags": ("lake/tags.lance", TAGS),
    "artifacts": ("lake/artifacts.lance", ARTIFACTS),
}
"""Every table: where it lies, and its columns."""
COMPACT_ABOVE = 64
"""Fragments from which on `append` merges them, so that reading stays flat."""
INDEX_ABOVE = 20_000
"""Rows from which on the ``id`` column is indexed at compaction."""


def media_key(digest: str) -> str:
    """Where the bytes of a clip revision are stored."""
    return f"media/{digest[:2]}/{digest}"


def append(site: Site, table: str, rows: Iterable[Mapping[str, Any]]) -> int:
    """Add rows in one atomic commit; rows whose ``id`` is there already are skipped.

    A column that a row lacks is null. Returns how many were added; when it returns they survive a power cut.
    Raises BadInput for a column that the table does not have, SiteBusy, NoSpace.
    """
    key, schema = _table(table)
    fresh: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        unknown = set(row) - set(schema.names)
        if unknown or not row.get("id"):
            raise BadInput(
                f"a row of {table} with no id, or with columns that it does not have: {sorted(unknown)}",
                remedy=f"its columns are {', '.join(schema.names)}",
            )
        fresh.setdefault(str(row["id"]), row)
    with site.writing():
        for ident in existing(site, table, fresh):
            del fresh[ident]
        if not fresh:
            return 0
        try:
            data = pa.Table.from_pylist([dict(row) for row in fresh.values()], schema=schema)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise BadInput(f"a row of {table} does not fit its columns: {error}") from error
        fragments = _commit(site, key, data.replace_schema_metadata(_metadata(table)))
        if fragments > COMPACT_ABOVE:
            compact(site, table)
    return len(fresh)


def existing(site: Site, table: str, ids: Iterable[str]) -> set[str]:
    """Those of ``ids`` that the table has."""
    dataset = _open(site, table)
    wanted = sorted(set(ids))
    if dataset is None or not wanted:
        return set()
    found: set[str] = set()
    for i in range(0, len(wanted), 1000):
        there = dataset.to_table(columns=["id"], filter=_any_of("id", wanted[i : i + 1000]))
        found.update(there["id"].to_pylist())
    return found


def scan(site: Site, table: str, columns: Sequence[str] | None = None, where: str | None = None) -> pa.Table:
    """Rows by id, so that equal tables read equally whatever the order in which they came in or were merged.

    ``where`` is an SQL condition such as ``format = 'mcap'``. A table that nobody has written yet is empty.
    Raises BadInput where the condition or a column is wrong.
    """
    _, schema = _table(table)
    dataset = _open(site, table)
    names = list(columns) if columns is not None else list(schema.names)
    if dataset is None:
        return schema.empty_table().select(names)
    with_id = names if "id" in names else [*names, "id"]
    try:
        found = dataset.to_table(columns=with_id, filter=where)
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and "LanceError(Schema)" not in str(error):
            raise StorageError(f"could not read {table}: {_first_line(error)}", place=site.root) from error
        raise BadInput(
            f"cannot read {table}: {_first_line(error)}", remedy=f"its columns are {', '.join(schema.names)}"
        ) from error
    return found.take(pc.sort_indices(found["id"])).select(names).replace_schema_metadata(None)


def take(site: Site, table: str, ids: Sequence[str], columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of ``ids``, in that order. Raises BadInput naming an id that is not there."""
    _, schema = _table(table)
    names = list(columns) if columns is not None else list(schema.names)
    with_id = names if "id" in names else [*names, "id"]
    parts = [scan(site, table, with_id, _any_of("id", list(ids[i : i + 1000]))) for i in range(0, len(ids), 1000)]
    found = pa.concat_tables(parts) if parts else scan(site, table, with_id, "false")
    place = {ident: n for n, ident in enumerate(found["id"].to_pylist())}
    missing = [ident for ident in ids if ident not in place]
    if missing:
        raise BadInput(f"{table} has no row {missing[0]} ({len(missing)} missing)", place=site.root)
    return found.take(pa.array([place[ident] for ident in ids], pa.int64())).select(names)


def count(site: Site, table: str, where: str | None = None) -> int:
    """How many rows there are, or match."""
    dataset = _open(site, table)
    return 0 if dataset is None else int(dataset.count_rows(filter=where))


def version(site: Site, table: str) -> int:
    """The table's version; it grows with every commit. 0 where nobody has written yet."""
    dataset = _open(site, table)
    return 0 if dataset is None else int(dataset.version)


def compact(site: Site, table: str) -> None:
    """Merge small fragments and bring the index on ``id`` up to date; the rows stay."""
    with site.writing():
        dataset = _open(site, table)
        if dataset is None:
            return
        began = time.time_ns() - 1_000_000_000
        dataset.optimize.compact_files(target_rows_per_fragment=1_000_000)
        if dataset.count_rows() >= INDEX_ABOVE:
            if any(index.field_names == ["id"] for index in dataset.describe_indices()):
                dataset.optimize.optimize_indices()
            else:
                dataset.create_scalar_index("id", "BTREE")
        # A day: whoever still reads an older version has had time to finish.
        dataset.cleanup_old_versions(timedelta(days=1))
        site.storage.sync(_table(table)[0], began)


def add_clips(site: Site, rows: Iterable[Clip]) -> int:
    """Append clips; the media that they name must be stored before. Returns how many were new."""
    return append(site, "clips", (clip_row(clip) for clip in rows))


def clips(site: Site, where: str | None = None, *, superseded: bool = False) -> list[Clip]:
    """Every clip, or those that match, by drive and time: equal lakes give equal lists at any site.

    Clips that gave way to a longer one are left out, unless ``superseded``: a dataset may hold one that it was made
    with.
    """
    found = clip_from_rows(scan(site, "clips", where=where))
    gone = set() if superseded else set(scan(site, "superseded", ["id"])["id"].to_pylist())
    return sorted((c for c in found if c.id not in gone), key=lambda clip: (clip.drive, clip.start_ns, clip.id))


def standing(site: Site, ids: Iterable[str]) -> list[str]:
    """These clip ids, those that gave way replaced by the longer clip that stands for them now."""
    by = {row["id"]: row["by"] for row in scan(site, "superseded").to_pylist()}
    found = list(ids)
    while any(ident in by for ident in found):
        found = [by.get(ident, ident) for ident in found]
    return found


def beginning_with(site: Site, new: Iterable[Clip]) -> list[Clip]:
    """The lake's clips of the drives of ``new`` that begin when one of ``new`` does."""
    starts = {(clip.drive, clip.start_ns) for clip in new}
    drives = sorted({drive for drive, _ in starts})
    if not drives:
        return []
    rows = scan(site, "clips", ["id", "drive", "start_ns"], _any_of("drive", drives)).to_pylist()
    ids = [row["id"] for row in rows if (row["drive"], row["start_ns"]) in starts]
    return clip_from_rows(take(site, "clips", ids)) if ids else []


def clip_list(site: Site, where: str | None = None) -> list[dict[str, Any]]:
    """What `inland clips` shows: one plain record a clip, without signals."""
    listed = []
    for clip in clips(site, where):
        listed.append(
            {
                "id": clip.id,
                "drive": clip.drive,
                "vehicle": clip.vehicle,
                "start_ns": clip.start_ns,
                "end_ns": clip.end_ns,
                "seconds": (clip.end_ns - clip.start_ns) / 1e9,
                "format": clip.format,
                "clock": clip.clock,
                "cameras": [
                    {
                        "name": c.name,
                        "width_px": c.width_px,
                        "height_px": c.height_px,
                        "frames": len(clip.frame_t_ns[c.name]),
                    }
                    for c in clip.rig.cameras
                ],
                "signals": sorted(clip.signals),
                "triggers": [{"name": t.name, "t_ns": t.t_ns, "note": t.note} for t in clip.triggers],
                "media": clip.media,
                "media_bytes": clip.media_bytes,
                "revision": clip.revision,
                "origins": list(clip.origins),
                "classes": list(clip.classes),
                "parents": list(clip.parents),
                "release": clip.release,
                "place": clip.place,
                "notes": dict(clip.notes),
            }
        )
    return listed


def _table(name: str) -> tuple[str, pa.Schema]:
    if name not in TABLES:
        raise BadInput(f"no table {name!r}", remedy=f"the tables are {', '.join(TABLES)}")
    return TABLES[name]


def _metadata(table: str) -> dict[str, str]:
    return {"inland_table": table, "inland_revision": str(SCHEMA_REVISION)}


def _open(site: Site, table: str) -> lance.LanceDataset | None:
    key, schema = _table(table)
    if not _is_there(site, key):
        return None
    dataset = lance.dataset(site.storage.uri(key))
    revision = (dataset.schema.metadata or {}).get(b"inland_revision", b"?").decode()
    if revision != str(SCHEMA_REVISION) or dataset.schema.names != schema.names:
        raise SiteError(
            f"table {table} has schema revision {revision}; this version of Inland reads {SCHEMA_REVISION}",
            place=site.root,
            remedy="use the version of Inland that wrote it, or make a new site and ingest its logs again",
        )
    return dataset


def _is_there(site: Site, key: str) -> bool:
    """A table is there from its first committed version on; a first write that was killed left data alone."""
    return site.storage.has_any(f"{key}/_versions")


def _commit(site: Site, key: str, data: pa.Table) -> int:
    """Add rows in one version, durably; return how many fragments the table now has."""
    uri = site.storage.uri(key)
    began = time.time_ns() - 1_000_000_000  # file systems keep time in steps
    try:
        if not _is_there(site, key):
            lance.write_dataset(data.schema.empty_table(), uri)
        before = lance.dataset(uri)
        fragments = write_fragments(data, uri, schema=data.schema)
        site.storage.sync(f"{key}/data", began)
        dataset = lance.LanceDataset.commit(uri, lance.LanceOperation.Append(fragments), read_version=before.version)
        site.storage.sync(key, began)
    except OSError as error:
        if "No space left" in str(error) or "File too large" in str(error) or "os error 28" in str(error):
            raise NoSpace(
                f"the disk is full; nothing was added to {key}",
                place=site.root,
                remedy="free some space (SITE/scratch is safe to delete) and run the same command again",
            ) from error
        raise StorageError(f"could not write {key}: {_first_line(error)}", place=site.root) from error
    return len(dataset.get_fragments())


def _any_of(column: str, values: Sequence[str]) -> str:
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"{column} in ({quoted})"


def _first_line(error: Exception) -> str:
    line = (str(error).splitlines() or [""])[0]
    return re.sub(r", \S+\.rs:\d+:\d+$", "", line)[:300]  # Lance adds where in its own source it was raised
