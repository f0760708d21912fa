"""A dataset as batches for torch: every frame decoded once into a table that is read at random, in batches.

One row is one moment: the pictures of all cameras nearest to a frame of the first camera, prepared (cropped and
shrunk) as raw RGB, with inputs, targets and `Flag` bits beside them. A stack of frames is a lookup: ``history``
names the rows of the earlier moments. Weights and split belong to the dataset, not to the table, so recipes that
look at the same pixels share one table. No latitude or longitude comes near it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

os.environ.setdefault("LANCE_LOG", "error")  # it warns on standard error about every table that it creates

import lance
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from inland import spread, station
from inland.clip import Clip
from inland.curate import HELD_OUT, TRAIN, Dataset, side_of, weights_of
from inland.drivers import route_features
from inland.errors import BadInput
from inland.label import REVISION as LABEL_REVISION
from inland.label import TOLERANCE_NS, Labels
from inland.recipes import CameraInput, Recipe
from inland.world.state import TRAJECTORY_POINTS

if TYPE_CHECKING:
    from inland.site import Site

REVISION = 1
TARGETS = 3 + 2 * TRAJECTORY_POINTS
"""Columns of a target: curvature, acceleration, steering, trajectory x, y pairs; as `inland.model.OUTPUTS`."""
_CLIPS_PER_COMMIT = 16

Bytes = NDArray[np.uint8]


def prepare_array(picture: Bytes, camera: CameraInput) -> Bytes:
    """`inland.model.prepare` for numpy, (H, W, 3) uint8 -> (h, w, 3) uint8, equal to the last bit."""
    kept = picture[camera.top_px : camera.bottom_px]
    if camera.mirrored:
        kept = kept[:, ::-1]
    if camera.shrink == 1:
        return np.ascontiguousarray(kept)
    height, width = camera.input_px
    k = camera.shrink
    blocks = kept[: height * k, : width * k].reshape(height, k, width, k, 3)
    return np.asarray(blocks.astype(np.float32).mean((1, 3)).round(), np.uint8)


@dataclass(frozen=True, slots=True)
class Moments:
    """What a table holds beside the pictures, in memory: arrays over its N rows.

    ``history`` (N, frames), oldest first, its last column the row itself; -1 where a moment of the past was not
    recorded. ``present`` (N, cameras). ``targets`` (N, TARGETS), NaN where masked. ``route`` (N, 5).
    """

    clip: NDArray[np.int32]
    t_ns: NDArray[np.int64]
    speed_mps: NDArray[np.float32]
    route: NDArray[np.float32]
    targets: NDArray[np.float32]
    flags: NDArray[np.uint8]
    present: NDArray[np.bool_]
    history: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Work:
    """One clip to decode, for a worker."""

    site: Site
    clip: str
    media: str
    cameras: tuple[CameraInput, ...]
    streams: tuple[int, ...]
    picks: tuple[tuple[int, ...], ...]


def pick_frames(clip: Clip, camera: str, t_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """The index of the camera's frame nearest to each time, -1 where none lies within TOLERANCE_NS."""
    times = np.asarray(clip.frame_t_ns.get(camera, ()), np.int64)
    if len(times) == 0:
        return np.full(len(t_ns), -1, np.int64)
    right = np.minimum(np.searchsorted(times, t_ns), len(times) - 1)
    left = np.maximum(right - 1, 0)
    pick = np.where(np.abs(times[left] - t_ns) <= np.abs(times[right] - t_ns), left, right)
    return np.where(np.abs(times[pick] - t_ns) <= TOLERANCE_NS, pick, -1)


def history_rows(drives: Sequence[str], t_ns: NDArray[np.int64], frames: int, step_s: float) -> NDArray[np.int32]:
    """Rows of the moments ``step_s`` apart before each row, oldest first, (N, frames). Pure.

    Rows of one drive lie together in time order. At the start of a drive its first row stands in, as at the
    wheel; a gap in the middle of a drive gives -1.
    """
    out = np.full((len(t_ns), frames), -1, np.int32)
    out[:, -1] = np.arange(len(t_ns))
    names = np.asarray(drives)
    starts = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]])) if len(names) else np.zeros(0, int)
    for begin, end in zip(starts, [*starts[1:], len(names)], strict=True):
        times = t_ns[begin:end]
        for back in range(1, frames):
            wanted = times - round(back * step_s * 1e9)
            right = np.minimum(np.searchsorted(times, wanted), len(times) - 1)
            left = np.maximum(right - 1, 0)
            pick = np.where(np.abs(times[left] - wanted) <= np.abs(times[right] - wanted), left, right)
            near = np.abs(times[pick] - wanted) <= TOLERANCE_NS
            before = wanted < times[0]
            out[begin:end, frames - 1 - back] = np.where(before, begin, np.where(near, begin + pick, -1))
    return out


def targets_of(labels: Labels) -> NDArray[np.float32]:
    """(N, TARGETS), NaN where masked."""
    columns = [labels.curvature_1pm, labels.acceleration_mps2, labels.steering_normalised]
    flat = labels.trajectory_m.reshape(len(labels.t_ns), 2 * TRAJECTORY_POINTS)
    return np.concatenate([np.stack(columns, 1), flat], 1).astype(np.float32)


def _decode(work: _Work) -> list[tuple[Bytes, NDArray[np.bool_]]]:
    """Per camera: pictures (N, h * w * 3), zeros where missing, and which are there."""
    from inland.lake import media_key
    from inland.video import decode_clip

    media = work.site.storage.get(media_key(work.media))
    out = []
    for camera, stream, picks in zip(work.cameras, work.streams, work.picks, strict=True):
        height, width = camera.input_px
        shown = np.zeros((len(picks), height * width * 3), np.uint8)
        wanted: dict[int, list[int]] = {}
        for row, pick in enumerate(picks):
            wanted.setdefault(pick, []).append(row)
        for index, picture in enumerate(decode_clip(media, stream) if stream >= 0 else ()):
            if index not in wanted:
                continue
            if picture.shape != (camera.height_px, camera.width_px, 3):
                raise BadInput(
                    f"camera {camera.name!r} recorded {picture.shape[1]}x{picture.shape[0]}, "
                    f"the recipe takes {camera.width_px}x{camera.height_px}",
                    place=f"clip {work.clip}",
                    remedy="choose the recipe of that rig",
                )
            for row in wanted[index]:
                shown[row] = prepare_array(picture, camera).ravel()
        out.append((shown, np.asarray(picks) >= 0))
    return out


def _work(site: Site, clip: Clip, cameras: Sequence[CameraInput], labels: Labels) -> _Work:
    names = [camera.name for camera in clip.rig.cameras]
    return _Work(
        site=site,
        clip=clip.id,
        media=clip.media,
        cameras=tuple(cameras),
        streams=tuple(names.index(camera.name) if camera.name in names else -1 for camera in cameras),
        picks=tuple(tuple(pick_frames(clip, camera.name, labels.t_ns).tolist()) for camera in cameras),
    )


def _rows(
    number: int,
    labels: Labels,
    pictures: Sequence[tuple[Bytes, NDArray[np.bool_]]],
    cameras: Sequence[CameraInput],
) -> pa.Table:
    count = len(labels.t_ns)
    route = np.zeros((count, 5), np.float32)
    for row, (command, distance_m) in enumerate(labels.route):
        route[row] = route_features(command, distance_m)
    columns: dict[str, Any] = {
        "clip": pa.array(np.full(count, number, np.int32)),
        "t_ns": pa.array(labels.t_ns),
        "speed_mps": pa.array(labels.speed_mps),
        "route": _fixed(route),
        "targets": _fixed(targets_of(labels)),
        "flags": pa.array(labels.flags),
        "present": _fixed(np.stack([there for _, there in pictures], 1).astype(np.uint8)),
    }
    for camera, (shown, _) in zip(cameras, pictures, strict=True):
        columns[f"image_{camera.name}"] = _fixed(shown)
    return pa.table(columns)


def _fixed(values: NDArray[Any]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def _unfixed(column: pa.ChunkedArray, kind: Any) -> NDArray[Any]:
    array = column.combine_chunks()
    return np.asarray(array.flatten().to_numpy(zero_copy_only=False), kind).reshape(len(array), -1)


class SampleTable:
    """The decoded moments of a dataset, and the batches read from them.

    ``pictures_in_memory`` holds all prepared pictures in memory, for tables that fit; else each batch is one
    batched random read of the Lance table.
    """

    def __init__(
        self,
        moments: Moments,
        cameras: Sequence[CameraInput],
        side: Bytes,
        weight: NDArray[np.float32],
        source: lance.LanceDataset | Mapping[str, Bytes],
    ) -> None:
        self.moments = moments
        self.cameras = tuple(cameras)
        usable = (moments.history >= 0).all(1) & moments.present[:, 0] & np.isfinite(moments.targets).any(1)
        self.train_rows = np.flatnonzero(usable & (side == TRAIN))
        self.held_out_rows = np.flatnonzero(usable & (side == HELD_OUT))
        self.weight = weight
        self._source = source

    def __len__(self) -> int:
        return len(self.moments.t_ns)

    def hold_in_memory(self, limit_bytes: int) -> bool:
        """Read all pictures into memory if they fit ``limit_bytes``; say whether they do."""
        size = len(self) * sum(3 * c.input_px[0] * c.input_px[1] for c in self.cameras)
        if isinstance(self._source, lance.LanceDataset):
            if size > limit_bytes:
                return False
            held: dict[str, Bytes] = {}
            for camera in self.cameras:
                name = f"image_{camera.name}"
                whole = np.empty((len(self), 3 * camera.input_px[0] * camera.input_px[1]), np.uint8)
                at = 0
                for batch in self._source.to_batches(columns=[name], batch_size=512):
                    whole[at : at + len(batch)] = batch[name].flatten().to_numpy().reshape(len(batch), -1)
                    at += len(batch)
                held[camera.name] = whole
            self._source = held
        return True

    def pictures(self, rows: NDArray[np.int32]) -> dict[str, Bytes]:
        """Per camera (B, T, h, w, 3) uint8 of the row numbers ``rows`` (B, T)."""
        out = {}
        if isinstance(self._source, lance.LanceDataset):
            unique, place = np.unique(rows, return_inverse=True)
            names = [f"image_{camera.name}" for camera in self.cameras]
            read = self._source.take(unique, columns=names)
            stored = {c.name: _unfixed(read[n], np.uint8) for c, n in zip(self.cameras, names, strict=True)}
            index: NDArray[Any] = place.reshape(rows.shape)
        else:
            stored, index = dict(self._source), rows
        for camera in self.cameras:
            out[camera.name] = stored[camera.name][index].reshape(*rows.shape, *camera.input_px, 3)
        return out

    def batch(self, rows: NDArray[np.int64], *, look: bool = True) -> Batch:
        """The samples of ``rows``; ``look=False`` leaves the pictures out."""
        history = self.moments.history[rows]
        return Batch(
            rows=rows,
            pictures=self.pictures(history) if look else {},
            present=np.asarray(self.moments.present[history].all(1), np.bool_),
            speed_mps=self.moments.speed_mps[rows],
            route=self.moments.route[rows],
            targets=self.moments.targets[rows],
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """B samples. ``pictures[name]`` (B, T, h, w, 3) uint8; ``present`` (B, cameras); ``targets`` (B, TARGETS)."""

    rows: NDArray[np.int64]
    pictures: Mapping[str, Bytes]
    present: NDArray[np.bool_]
    speed_mps: NDArray[np.float32]
    route: NDArray[np.float32]
    targets: NDArray[np.float32]


def open_samples(
    site: Site,
    dataset: Dataset,
    recipe: Recipe,
    *,
    processes: int | None = None,
    progress: Callable[[float, float, str], None] | None = None,
) -> SampleTable:
    """The dataset's sample table, decoded now if it is not there. A killed decoding goes on where it was.

    Raises BadInput where a clip's pictures have another size than the recipe's, or the dataset names erased
    clips.
    """
    from inland import lake
    from inland.label import read_labels

    if dataset.erased:
        raise BadInput(
            f"dataset {dataset.id} names {len(dataset.erased)} erased clips",
            place=f"datasets/{dataset.id}.json",
            remedy="curate again",
        )
    clips = _clips_in_order(lake.clips(site, superseded=True), dataset)
    labels = list(read_labels(site, [clip.id for clip in clips]))
    key = station.key_of("samples", REVISION, LABEL_REVISION, [(clip.id, clip.media) for clip in clips], recipe.cameras)
    name = f"samples/{key}"
    if station.recall(site, "samples", key) is None:
        with site.writing():
            site.storage.make_folder("samples")
            _build(site, name, clips, labels, recipe, processes, progress)
            station.keep(site, "samples", key, {"clips": len(clips)})
    table = lance.dataset(site.storage.uri(f"{name}/moments.lance"))
    return _table(table, clips, dataset, recipe)


def _clips_in_order(there: Iterable[Clip], dataset: Dataset) -> list[Clip]:
    by_id = {clip.id: clip for clip in there}
    out = []
    for ident, media in dataset.clips:
        clip = by_id.get(ident)
        if clip is None or clip.media != media:
            raise BadInput(
                f"clip {ident} of dataset {dataset.id} is not in the lake with the pictures that it had",
                place=f"datasets/{dataset.id}.json",
                remedy="curate again",
            )
        out.append(clip)
    return out


def _build(
    site: Site,
    name: str,
    clips: Sequence[Clip],
    labels: Sequence[Labels],
    recipe: Recipe,
    processes: int | None,
    progress: Callable[[float, float, str], None] | None,
) -> None:
    uri = site.storage.uri(f"{name}/moments.lance")
    done = _clips_done(site, name, uri)
    frames = sum(len(found.t_ns) for found in labels)
    written = sum(len(found.t_ns) for found in labels[:done])
    work = (_work(site, c, recipe.cameras, found) for c, found in zip(clips[done:], labels[done:], strict=True))
    parts: list[pa.Table] = []
    for number, pictures in enumerate(spread.map(_decode, work, processes=processes), start=done):
        parts.append(_rows(number, labels[number], pictures, recipe.cameras))
        written += len(labels[number].t_ns)
        if len(parts) == _CLIPS_PER_COMMIT or number == len(clips) - 1:
            there = site.storage.has_any(f"{name}/moments.lance/_versions")
            lance.write_dataset(pa.concat_tables(parts), uri, mode="append" if there else "create")
            parts = []
            if progress is not None:
                progress(written, frames, "decode frames")


def _clips_done(site: Site, name: str, uri: str) -> int:
    """How many clips a killed decoding has committed; a commit holds whole clips, in order."""
    if not site.storage.has_any(f"{name}/moments.lance/_versions"):
        site.storage.remove_tree(name)
        return 0
    numbers = lance.dataset(uri).to_table(columns=["clip"])["clip"]
    return int(numbers[-1].as_py()) + 1 if len(numbers) else 0


def _table(table: lance.LanceDataset, clips: Sequence[Clip], dataset: Dataset, recipe: Recipe) -> SampleTable:
    names = ["clip", "t_ns", "speed_mps", "route", "targets", "flags", "present"]
    read = table.scanner(columns=names, scan_in_order=True).to_table()
    number = read["clip"].to_numpy().astype(np.int32)
    t_ns = read["t_ns"].to_numpy().astype(np.int64)
    drives = [clips[i].drive for i in number]
    flags = read["flags"].to_numpy().astype(np.uint8)
    moments = Moments(
        clip=number,
        t_ns=t_ns,
        speed_mps=read["speed_mps"].to_numpy().astype(np.float32),
        route=_unfixed(read["route"], np.float32),
        targets=_unfixed(read["targets"], np.float32),
        flags=flags,
        present=_unfixed(read["present"], np.bool_),
        history=history_rows(drives, t_ns, recipe.frames, recipe.history_step_s),
    )
    side = np.zeros(len(t_ns), np.uint8)
    for index, clip in enumerate(clips):
        mine = number == index
        side[mine] = side_of(dataset.held_out, clip.drive, t_ns[mine])
    return SampleTable(moments, recipe.cameras, side, weights_of(flags, recipe.frame_weights), table)
