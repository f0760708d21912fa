"""Ingest: logs come in as clips, or go to quarantine with the reason. One door for every vehicle, real or not.

land (a copy of nothing: logs are read where they lie) -> check -> cut -> redact -> stage, in workers, one log
each; then the one writer stores media, positions and rows, in this order, a few logs at a time. A run that is killed
anywhere and repeated leaves the same rows; media that nobody names do no harm.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inland import spread, station
from inland.errors import BadInput, InlandError, LogRejected
from inland.readers import FORMATS, Log, digest_of_log, files_of, find_logs
from inland.site import Site

if TYPE_CHECKING:
    from inland.landing import Landed

WHAT = "land, check, commit"
BATCH_LOGS = 8
Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One log that could not come in. ``kind`` is the short stable name with which ``reason`` begins."""

    path: str
    reason: str
    remedy: str
    kind: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class IngestResult:
    """Clip ids, in the order of the logs. ``cut`` are logs that ended early and gave what was whole."""

    committed: tuple[str, ...]
    already_there: tuple[str, ...]
    quarantined: tuple[Quarantined, ...]
    cut: tuple[str, ...] = ()


def ingest(
    site: Site,
    paths: Iterable[str | Path],
    *,
    assume_fps: float | None = None,
    processes: int | None = 2,
    progress: Progress | None = None,
) -> IngestResult:
    """Let every log at or below ``paths`` in, or quarantine it.

    ``assume_fps`` declares the frame rate of logs whose clock is missing or implausible; their clips then say
    that the clock is declared. A log that is in already adds nothing; one that was quarantined is tried again,
    and its entry goes when it comes in. Raises BadInput where nothing was found or the rate is not usable,
    SiteBusy, NoSpace (what came in before stays).
    """
    if assume_fps is not None and not 0.1 <= assume_fps <= 240:
        raise BadInput(f"not a frame rate: {assume_fps:g}", remedy="give frames a second, from 0.1 to 240")
    logs, strangers = find_logs(paths)
    tell = progress or (lambda done, total, what: None)
    say: Callable[[str], None] = getattr(progress, "say", lambda line: None)
    committed: list[str] = []
    already_there: list[str] = []
    refused: list[Quarantined] = []
    cut: list[str] = []
    with site.writing(), site.storage.emptied("landing") as folder:
        entries = quarantined(site)
        for path in strangers:
            refused.append(_quarantine(site, folder, entries, Log(path, "unknown"), _unknown()))
        names = {log: digest_of_log(log) for log in logs}
        fresh: list[Log] = []
        for log in logs:
            ids = _remembered(site, names[log], assume_fps)
            if ids is None:
                fresh.append(log)
            else:
                already_there += ids
                _release(site, entries, log, names[log])
        done = len(logs) - len(fresh)
        tell(done, len(logs), WHAT)
        with closing(_land(site, fresh, folder, assume_fps, processes)) as landed:
            for batch in _batches(landed):
                new = _commit(site, [result for result in batch if result.rejected is None])
                for result in batch:
                    log = result.log
                    if result.cut:
                        cut.append(log.path)
                        say(f"{log.path} ends early; every whole chunk came in")
                    if result.rejected is not None:
                        refused.append(_quarantine(site, folder, entries, log, result.rejected))
                        continue
                    for clip in result.clips:
                        (committed if clip.id in new else already_there).append(clip.id)
                        new.discard(clip.id)  # in another log of this batch it is there already
                    _remember(site, names[log], assume_fps, [clip.id for clip in result.clips])
                    _release(site, entries, log, names[log])
                done += len(batch)
                tell(done, len(logs), WHAT)
    return IngestResult(tuple(committed), tuple(already_there), tuple(refused), tuple(cut))


def _land(
    site: Site, logs: list[Log], folder: Path, assume_fps: float | None, processes: int | None
) -> Generator[Landed, None, None]:
    from inland.landing import Job, land

    # A folder each: logs may hold equal media, and what one commits another must not miss.
    jobs = [Job(site, log, str(folder / str(n)), assume_fps) for n, log in enumerate(logs)]
    # One log is not worth the start of a worker.
    return spread.map(land, jobs, processes=1 if len(jobs) < 2 else processes)


def _batches(results: Iterable[Landed]) -> Iterator[list[Landed]]:
    """Some logs at a time, so that a commit with its syncs is paid for once; before an error, what was whole."""
    batch: list[Landed] = []
    try:
        for result in results:
            batch.append(result)
            if len(batch) == BATCH_LOGS:
                yield batch
                batch = []
    except InlandError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _commit(site: Site, landed: list[Landed]) -> set[str]:
    """Store the media of these logs, then positions, then rows; return the ids that are new."""
    from inland import lake

    clips = {clip.id: clip for result in landed for clip in result.clips}
    new = set(clips) - lake.existing(site, "clips", clips)
    for result in landed:
        media = dict(result.media or {})
        for clip in result.clips:
            staged = media.pop(clip.media, None) if clip.id in new else None
            if staged is not None:
                site.storage.put_file(lake.media_key(clip.media), Path(staged))
        for unused in media.values():
            Path(unused).unlink(missing_ok=True)
    positions = [row for result in landed for row in result.positions if row["id"] in new]
    lake.append(site, "positions", positions)
    lake.add_clips(site, [clip for ident, clip in clips.items() if ident in new])
    return new


def _key(name: str, assume_fps: float | None) -> str:
    from inland import landing, redact

    return station.key_of("ingest", landing.REVISION, redact.REVISION, name, assume_fps)


def _remember(site: Site, name: str, assume_fps: float | None, ids: list[str]) -> None:
    station.keep(site, "ingest", _key(name, assume_fps), {"clips": ids})


def _remembered(site: Site, name: str, assume_fps: float | None) -> list[str] | None:
    """The clips of a log that came in before, if they are all still there."""
    from inland import lake

    kept = station.recall(site, "ingest", _key(name, assume_fps))
    if kept is None:
        return None
    ids = [str(ident) for ident in kept["clips"]]
    return ids if lake.existing(site, "clips", ids) == set(ids) else None


Entries = dict[str, dict[str, str]]
"""What is in quarantine: each entry's folder, and its reason.json."""


def quarantined(site: Site) -> Entries:
    """Every log in quarantine by its folder, with path, digest, kind, reason, place and remedy."""
    found: Entries = {}
    for key in site.storage.list("quarantine"):
        folder, _, file = key.rpartition("/")
        if file == "reason.json":
            found[folder] = json.loads(site.storage.get(key))
    return found


def _quarantine(site: Site, folder: Path, entries: Entries, log: Log, why: LogRejected) -> Quarantined:
    """Keep a copy of the log beside the reason; an older entry of the same log or place gives way."""
    name = digest_of_log(log)
    _release(site, entries, log, name)
    key = f"quarantine/{name[:32]}"
    packed = folder / f"{name}.tar"
    base = Path(log.path) if Path(log.path).is_dir() else Path(log.path).parent
    try:
        with tarfile.open(packed, "w") as archive:
            for path in files_of(log):
                archive.add(path, arcname=path.relative_to(base).as_posix(), recursive=False)
    except OSError as error:
        packed.unlink(missing_ok=True)
        raise site.storage.error(error, key) from error
    entry = Quarantined(log.path, why.message, why.remedy, why.reason, why.place)
    record = {
        "path": log.path,
        "format": log.format,
        "digest": name,
        "reason": why.message,
        "kind": why.reason,
        "place": why.place,
        "remedy": why.remedy,
    }
    site.storage.put_file(f"{key}/log.tar", packed)
    site.storage.put(f"{key}/reason.json", json.dumps(record, sort_keys=True, indent=1).encode())
    entries[key] = record
    return entry


def _release(site: Site, entries: Entries, log: Log, name: str) -> None:
    """Remove what quarantine holds of this log: the same content, or an earlier state of the same path."""
    for key, record in list(entries.items()):
        if record.get("digest") == name or record.get("path") == log.path:
            site.storage.remove_tree(key)
            del entries[key]


def _unknown() -> LogRejected:
    return LogRejected(
        "unknown format",
        "the file belongs to no log that is known",
        remedy=f"formats that are read: {', '.join(FORMATS)}",
    )
