"""Ingest: logs come in as clips, or go to quarantine with the reason. One door for every vehicle, real or not.

land (a copy of nothing: logs are read where they lie) -> check -> cut -> redact -> stage, in workers, one log
each; then the one writer stores media, positions and rows, in this order, a few logs at a time. A run that is killed
anywhere and repeated leaves the same rows; media that nobody names do no harm.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from inland import spread, station
from inland.errors import BadInput, InlandError, LogRejected
from inland.readers import FORMATS, Log, digest_of_log, files_of, find_logs
from inland.site import Site

if TYPE_CHECKING:
    from inland.clip import Clip
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
    """Clip ids, in the order of the logs, each once.

    ``in_part`` are logs that were cut or damaged and gave what was whole: path -> what did not come in.
    """

    committed: tuple[str, ...]
    already_there: tuple[str, ...]
    quarantined: tuple[Quarantined, ...]
    in_part: Mapping[str, str] = field(default_factory=dict)


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
    and its entry goes when it comes in. A clip of a cut log gives way to the longer one that a fuller log of the
    same drive brings (docs/decisions/a-fuller-log-supersedes.md). Raises BadInput where nothing was found or the
    rate is not usable, SiteBusy, NoSpace (what came in before stays, and is the error's ``so_far``).
    """
    if assume_fps is not None and not 0.1 <= assume_fps <= 240:
        raise BadInput(f"not a frame rate: {assume_fps:g}", remedy="give frames a second, from 0.1 to 240")
    tally = _Tally()
    try:
        _ingest(site, paths, assume_fps, processes, progress, tally)
    except InlandError as error:
        error.so_far = tally.result()
        raise
    return tally.result()


@dataclass
class _Tally:
    """What an ingest has done so far: its result, also where it has to stop."""

    committed: dict[str, None] = field(default_factory=dict)  # dicts for their order
    already_there: dict[str, None] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)
    in_part: dict[str, str] = field(default_factory=dict)

    def result(self) -> IngestResult:
        there = tuple(ident for ident in self.already_there if ident not in self.committed)
        return IngestResult(tuple(self.committed), there, tuple(self.quarantined), dict(self.in_part))


def _ingest(
    site: Site,
    paths: Iterable[str | Path],
    assume_fps: float | None,
    processes: int | None,
    progress: Progress | None,
    tally: _Tally,
) -> None:
    logs, strangers = find_logs(paths)
    tell = progress or (lambda done, total, what: None)
    say: Callable[[str], None] = getattr(progress, "say", lambda line: None)
    with site.writing(), site.storage.emptied("landing") as folder:
        entries = quarantined(site)
        for path in strangers:
            tally.quarantined.append(_quarantine(site, folder, entries, Log(path, "unknown"), _unknown()))
        names = {log: digest_of_log(log) for log in logs}
        fresh: list[Log] = []
        for log in logs:
            ids = _remembered(site, names[log], assume_fps)
            if ids is None:
                fresh.append(log)
            else:
                tally.already_there.update(dict.fromkeys(ids))
                _release(site, entries, log, names[log])
        done = len(logs) - len(fresh)
        tell(done, len(logs), WHAT)
        with closing(_land(site, fresh, folder, assume_fps, processes)) as landed:
            for batch in _batches(landed):
                new, better = _commit(site, [result for result in batch if result.rejected is None])
                for result in batch:
                    log = result.log
                    if result.rejected is not None:
                        tally.quarantined.append(_quarantine(site, folder, entries, log, result.rejected))
                        continue
                    if result.in_part:
                        tally.in_part[log.path] = result.in_part
                        say(f"{log.path} came in in part: {result.in_part}")
                    ids = [better.get(clip.id, clip.id) for clip in result.clips]
                    for ident in ids:
                        (tally.committed if ident in new else tally.already_there)[ident] = None
                    _remember(site, names[log], assume_fps, ids)
                    _release(site, entries, log, names[log])
                done += len(batch)
                tell(done, len(logs), WHAT)


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


def _commit(site: Site, landed: list[Landed]) -> tuple[set[str], dict[str, str]]:
    """Store the media of these logs, then positions, then rows; return the ids that are new, and for each clip
    that gives way to a longer one of the same drive and start that one's id."""
    from inland import lake

    clips = {clip.id: clip for result in landed for clip in result.clips}
    better = superseded([*lake.beginning_with(site, clips.values()), *clips.values()])
    new = set(clips) - set(better) - lake.existing(site, "clips", clips)
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
    lake.append(site, "superseded", [{"id": old, "by": by} for old, by in sorted(better.items())])
    return new, better


def superseded(clips: Iterable[Clip]) -> dict[str, str]:
    """Which clips give way to which longer one: those of one drive and start whose frames it begins with. Pure.

    A log that was cut and the whole one give clips that differ in where they end: the same footage, once. Of two
    with the same frames the one whose signals go on longer stays.
    """
    groups: dict[tuple[str, int], dict[str, Clip]] = {}
    for clip in clips:
        groups.setdefault((clip.drive, clip.start_ns), {})[clip.id] = clip
    gone: dict[str, str] = {}
    for group in groups.values():
        best = max(group.values(), key=_length)
        gone |= {ident: best.id for ident, clip in group.items() if ident != best.id and _begins_with(best, clip)}
    return gone


def _begins_with(longer: Clip, shorter: Clip) -> bool:
    return all(
        list(longer.frame_t_ns.get(camera, ())[: len(t_ns)]) == list(t_ns)
        for camera, t_ns in shorter.frame_t_ns.items()
    )


def _length(clip: Clip) -> tuple[int, int, str]:
    ends = (int(signal.t_ns[-1]) for signal in clip.signals.values() if len(signal.t_ns))
    return clip.end_ns, max(ends, default=0), clip.id


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
    ids = lake.standing(site, [str(ident) for ident in kept["clips"]])
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
