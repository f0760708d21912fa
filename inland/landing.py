"""From a log to clips: check, cut, redact, stage. One log at a time, in a worker; nothing here touches the lake.

Media are staged in files as soon as a clip is cut, so that one clip is in memory at a time; the one writer gives
them their names only when the whole log has passed every check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inland import checks
from inland.clip import ALL_CLASSES, CLIP_NS, FUTURE_NS, Camera, Clip, Drive, EncodedFrame, Rig, Signal
from inland.digest import digest_of, sha256
from inland.errors import InlandError, LogRejected
from inland.readers import Log, read
from inland.redact import redact
from inland.site import Site
from inland.video import check_decodes, encode_frames, mux, picture_size

REVISION = 2
"""Raised when the same log gives other clips than before."""
PLACE_CELL_DEG = 0.01
"""About 1 km: what a place's pseudonym stands for."""

Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Job:
    """One log to land. ``folder``, its own, takes the staged media."""

    site: Site
    log: Log
    folder: str
    assume_fps: float | None = None


@dataclass(frozen=True, slots=True)
class Landed:
    """What came of one log: clips with their staged media (digest -> file) and positions, or a rejection.

    ``in_part`` says what of a log that came in did not, '' where all of it did.
    """

    log: Log
    clips: tuple[Clip, ...] = ()
    media: Mapping[str, str] | None = None
    positions: tuple[Mapping[str, Any], ...] = ()
    in_part: str = ""
    rejected: LogRejected | None = None


def land(job: Job) -> Landed:
    """Land one log. A log that cannot come in is no error but a result; a full disk is an error."""
    clips: list[Clip] = []
    media: dict[str, str] = {}
    positions: list[Mapping[str, Any]] = []
    in_part = ""
    folder = Path(job.folder)
    folder.mkdir(exist_ok=True)
    try:
        for drive in read(job.log, job.assume_fps):
            in_part = in_part or _in_part(drive)
            for clip, data, places in _clips(job.site, drive):
                clips.append(clip)
                if clip.media and clip.media not in media:
                    media[clip.media] = str(job.site.storage.stage(folder, clip.media, data))
                if places is not None:
                    positions.append(places)
    except LogRejected as error:
        return Landed(log=job.log, rejected=error)
    except InlandError:
        raise
    except Exception as error:
        # A log is a stranger's bytes: one that breaks a reader must not stop the logs after it.
        rejected = LogRejected(
            "cannot be read",
            f"{type(error).__name__}: {error}",
            place=job.log.path,
            remedy="copy the log again; if it is whole, its format is not understood here",
        )
        return Landed(log=job.log, rejected=rejected)
    return Landed(log=job.log, clips=tuple(clips), media=media, positions=tuple(positions), in_part=in_part)


def _in_part(drive: Drive) -> str:
    if drive.damage:
        return f"damaged in part: {drive.damage}; what was whole came in"
    return "truncated: it ends early; what was whole came in" if drive.cut else ""


@dataclass(frozen=True, slots=True)
class Track:
    """One camera's frames as times, which of them are key frames, and the median distance of frames."""

    t_ns: Times
    key: NDArray[np.bool_]
    period_ns: int


@dataclass(frozen=True, slots=True)
class Window:
    """One clip to cut: its time, the frames [first, last) of each camera, and which drive it belongs to."""

    start_ns: int
    end_ns: int
    frames: Mapping[str, tuple[int, int]]
    drive: int


def plan(tracks: Mapping[str, Track]) -> list[Window]:
    """Where to cut: at key frames of the first camera, at most 10 s long, never across a gap. Pure.

    Each frame of another camera falls into one window at most: the window's frames begin at that camera's last
    key frame up to the window's start. Raises LogRejected where key frames lie over 10 s apart.
    """
    main, *others = tracks
    track = tracks[main]
    cuts: list[tuple[int, int, int, int]] = []  # first, last, end_ns, drive
    drive = 0
    for first, last in checks.segments(track.t_ns, main):
        if cuts and track.t_ns[first] - track.t_ns[first - 1] >= checks.DRIVE_GAP_NS:
            drive += 1
        keys = first + np.flatnonzero(track.key[first:last])
        cuts += [(a, b, end, drive) for a, b, end in _cuts(track, keys, last, main)]
    starts = [int(track.t_ns[a]) for a, _, _, _ in cuts]
    ranges = {name: _ranges(tracks[name], starts, [end for _, _, end, _ in cuts]) for name in others}
    return [
        Window(start, end, {main: (a, b), **{name: ranges[name][n] for name in others}}, number)
        for n, (start, (a, b, end, number)) in enumerate(zip(starts, cuts, strict=True))
    ]


def _cuts(track: Track, keys: NDArray[np.intp], last: int, what: str) -> Iterator[tuple[int, int, int]]:
    """Frame ranges [a, b) with their end in time, from the first key frame on, each as long as it may be."""
    if len(keys) == 0:
        return
    a = int(keys[0])
    whole_end = int(track.t_ns[last - 1]) + track.period_ns
    while True:
        start = int(track.t_ns[a])
        if whole_end - start <= CLIP_NS:
            yield a, last, whole_end
            return
        within = keys[(keys > a) & (track.t_ns[keys] <= start + CLIP_NS)]
        if len(within) == 0:
            raise LogRejected(
                "key frames too far apart",
                "no key frame in 10 s of video, so no clip can begin there",
                place=f"{what}, {start} ns",
                remedy="record with a key frame at least every second",
            )
        b = int(within[-1])
        yield a, b, int(track.t_ns[b])
        a = b


def _ranges(track: Track, starts: Sequence[int], ends: Sequence[int]) -> list[tuple[int, int]]:
    """The frames [first, last) of a camera that is not the first, for each window."""
    slack = track.period_ns // 2  # cameras of one rig are rarely exposed at the same instant
    begins: list[int] = []
    for n, start in enumerate(starts):
        goes_on = n > 0 and ends[n - 1] == start
        at_start = int(np.searchsorted(track.t_ns, start - slack))
        if goes_on:
            before = begins[-1]
            # The window before keeps at least the frame it begins with, if that lies in it at all.
            inside = before < len(track.t_ns) and track.t_ns[before] < start - slack
            first_able = before + 1 if inside else before
        else:
            first_able = int(np.searchsorted(track.t_ns, ends[n - 1] - slack)) if n else at_start
        begins.append(_decodable_from(track, at_start, first_able))
    found = []
    for n, begin in enumerate(begins):
        goes_on = n + 1 < len(starts) and ends[n] == starts[n + 1]
        limit = begins[n + 1] if goes_on else int(np.searchsorted(track.t_ns, ends[n]))
        found.append((begin, max(begin, limit)))
    return found


def _decodable_from(track: Track, frame: int, first_able: int) -> int:
    """The last key frame up to ``frame``, not before ``first_able`` and with no gap between; else the next one."""
    keys = np.flatnonzero(track.key)
    before = keys[(keys <= frame) & (keys >= first_able)]
    if frame < len(track.t_ns) and len(before):
        key = int(before[-1])
        if np.all(np.diff(track.t_ns[key : frame + 1]) <= checks.GAP_PERIODS * track.period_ns):
            return key
    after = keys[keys >= max(frame, first_able)]
    return int(after[0]) if len(after) else len(track.t_ns)


def _clips(site: Site, drive: Drive) -> Iterator[tuple[Clip, bytes, Mapping[str, Any] | None]]:
    """Each clip of a drive with its media's bytes and its positions."""
    tracks = {camera.name: _track(drive, camera.name) for camera in drive.rig.cameras}
    for signal in drive.signals.values():
        checks.check_signal_times(signal.t_ns, f"{drive.source}, {signal.name}")
    windows = plan(tracks) if tracks else _signal_windows(drive)
    if not windows:
        raise LogRejected("empty log", "nothing that can be cut into clips", place=drive.source, remedy="record again")
    streams = {name: enumerate(drive.frames(name)) for name in tracks}
    absent, facts = _declared(site, drive, windows[0].start_ns)
    drive = replace(drive, notes={**drive.notes, **facts})
    classes = tuple(name for name in ALL_CLASSES if name not in absent)
    drive_id, number = "", -1
    for window in windows:
        source = {name: _pull(streams[name], *window.frames[name]) for name in tracks}
        source = {name: frames for name, frames in source.items() if frames}
        if window.drive != number:
            number = window.drive
            drive_id = _drive_id(drive, window, source)
        yield _clip(site, drive, window, source, drive_id, classes)


def _clip(
    site: Site,
    drive: Drive,
    window: Window,
    source: Mapping[str, Sequence[EncodedFrame]],
    drive_id: str,
    classes: tuple[str, ...],
) -> tuple[Clip, bytes, Mapping[str, Any] | None]:
    cameras = [camera for camera in drive.rig.cameras if camera.name in source]
    signals = {name: _slice(signal, window) for name, signal in drive.signals.items()}
    signals = {name: signal for name, signal in signals.items() if len(signal.t_ns)}
    triggers = tuple(t for t in drive.triggers if window.start_ns <= t.t_ns < window.end_ns)
    ident = digest_of(
        "clip",
        window.start_ns,
        window.end_ns,
        {name: [(f.t_ns, f.codec, f.data) for f in frames] for name, frames in source.items()},
        {name: (signal.t_ns, signal.value, signal.clock) for name, signal in signals.items()},
        triggers,
    )
    encoded = {camera.name: _encode(camera, source[camera.name], drive.source) for camera in cameras}
    redacted = redact(encoded, classes)
    frames = [redacted.frames[camera.name] for camera in cameras]
    data = mux(frames, min(f[0].t_ns for f in frames)) if frames else b""
    places = _positions(drive, window, ident)
    clip = Clip(
        id=ident,
        drive=drive_id,
        vehicle=site.pseudonym("vehicle", drive.vehicle),
        start_ns=window.start_ns,
        end_ns=window.end_ns,
        format=drive.format,
        clock=drive.clock,
        rig=Rig(
            cameras=tuple(replace(c, width_px=c.width_px & ~1, height_px=c.height_px & ~1) for c in cameras),
            wheelbase_m=drive.rig.wheelbase_m,
            steering=drive.rig.steering,
        ),
        frame_t_ns={name: np.array([f.t_ns for f in frames], np.int64) for name, frames in source.items()},
        signals=signals,
        triggers=triggers,
        media=sha256(data) if data else "",
        media_bytes=len(data),
        revision=redacted.revision,
        origins=(site.region,),
        classes=redacted.classes,
        parents=(drive_id,),
        release=drive.release,
        place=_place(site, places),
        notes=drive.notes,
    )
    return clip, data, places


def _track(drive: Drive, camera: str) -> Track:
    times, keys = [], []
    for frame in drive.frames(camera):
        times.append(frame.t_ns)
        keys.append(frame.key)
    t_ns = np.array(times, np.int64)
    try:
        checks.check_times(t_ns, camera)
    except LogRejected as error:
        error.place = f"{drive.source}, {error.place}"
        raise
    return Track(t_ns=t_ns, key=np.array(keys, np.bool_), period_ns=checks.period(t_ns))


def _pull(stream: Iterator[tuple[int, EncodedFrame]], first: int, last: int) -> list[EncodedFrame]:
    """Frames [first, last) of a stream that is read once, in order; what lies before is passed over."""
    frames: list[EncodedFrame] = []
    if first >= last:
        return frames
    for n, frame in stream:
        if n >= first:
            frames.append(frame)
        if n == last - 1:
            break
    return frames


def _encode(camera: Camera, frames: Sequence[EncodedFrame], source: str) -> Sequence[EncodedFrame]:
    """The frames as H.264, each seen to decode and to have the camera's size."""
    size = (camera.width_px, camera.height_px)
    try:
        if frames[0].codec == "h264":
            check_decodes(frames, *size)
            return frames
        checks.check_sizes([size, *(picture_size(frame) for frame in frames)], camera.name)
        period_ns = checks.period(np.array([frame.t_ns for frame in frames], np.int64))
        return encode_frames(frames, *size, fps=1e9 / period_ns)
    except LogRejected as error:
        error.place = f"{source}, {camera.name}, {error.place}"
        raise


def _slice(signal: Signal, window: Window) -> Signal:
    """A signal from its last sample up to the window's start until 4 s past its end."""
    first = max(0, int(np.searchsorted(signal.t_ns, window.start_ns, side="right")) - 1)
    last = int(np.searchsorted(signal.t_ns, window.end_ns + FUTURE_NS, side="right"))
    value = signal.value[first:last]
    # A log may hold infinities (a dropped sensor, a number too large): no measurement, so missing.
    known = np.where(np.isfinite(value), value, np.float32("nan"))
    return replace(signal, t_ns=signal.t_ns[first:last], value=known)


def _signal_windows(drive: Drive) -> list[Window]:
    """A log without video: 10 s at a time."""
    ends = [(int(s.t_ns[0]), int(s.t_ns[-1])) for s in drive.signals.values() if len(s.t_ns)]
    if not ends:
        return []
    start, end = min(a for a, _ in ends), max(b for _, b in ends) + 1
    return [Window(t, min(t + CLIP_NS, end), {}, 0) for t in range(start, end, CLIP_NS)]


def _drive_id(drive: Drive, window: Window, source: Mapping[str, Sequence[EncodedFrame]]) -> str:
    """How a drive begins, so that a cut log and the whole one are the same drive."""
    first = {name: (frames[0].t_ns, frames[0].data) for name, frames in source.items()}
    return digest_of("drive", drive.format, window.start_ns, first, sorted(drive.signals))


def _declared(site: Site, drive: Drive, start_ns: int) -> tuple[tuple[str, ...], dict[str, str]]:
    """What a declaration that counts says: the classes that are absent, and its facts as notes of the clips."""
    if drive.declaration is None:
        return (), {}
    from inland.border.keys import declaration_of, verify_declaration

    absent = verify_declaration(site, drive.declaration, drive.vehicle, start_ns)
    facts = (declaration_of(site, drive.declaration, drive.vehicle, start_ns) or {}).get("facts") or {}
    return absent, {f"declared {name}": str(facts[name]) for name in sorted(facts)}


def _positions(drive: Drive, window: Window, clip: str) -> dict[str, Any] | None:
    fixes = drive.fixes
    if fixes is None:
        return None
    inside = (fixes.t_ns >= window.start_ns) & (fixes.t_ns < window.end_ns)
    if not np.any(inside):
        return None
    return {
        "id": clip,
        "t_ns": fixes.t_ns[inside],
        "latitude_deg": fixes.latitude_deg[inside],
        "longitude_deg": fixes.longitude_deg[inside],
    }


def _place(site: Site, positions: Mapping[str, Any] | None) -> str:
    """The pseudonym of the 1 km cell in which the clip begins: enough to split by, not enough to find."""
    if positions is None:
        return ""
    cell = (
        int(np.floor(float(positions["latitude_deg"][0]) / PLACE_CELL_DEG)),
        int(np.floor(float(positions["longitude_deg"][0]) / PLACE_CELL_DEG)),
    )
    return site.pseudonym("place", f"{cell[0]},{cell[1]}")
