"""From clips to a dataset: an immutable list of clips with its split, its weights and a digest.

A split never cuts through what belongs together. Where every clip's place is known, one vehicle at one place in
one hour stays together; else one drive does; where there is only one drive, blocks of it are held out, and the
frames within GAP_NS of such a block are used by neither side. The dataset says which of the three it was.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inland.clip import Clip
from inland.digest import digest_of
from inland.errors import BadInput, NotStored
from inland.label import REVISION as LABEL_REVISION
from inland.label import Flag, Labels
from inland.recipes import FrameWeights, Recipe

if TYPE_CHECKING:
    from inland.site import Site

REVISION = 2
GAP_NS = 2_000_000_000
BY_PLACE = "vehicle, place and hour"
BY_DRIVE = "drive"
BY_BLOCK = "blocks of one drive, 2 s apart from the rest"
_HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Span:
    """A held-out stretch of one drive: start inclusive, end exclusive."""

    drive: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """An immutable list of clips. ``id`` is the head of ``digest``, which covers all but ``make_up``.

    ``clips`` are (clip id, media digest): the revision of the pixels belongs to it. ``erased`` names clips that
    were taken out of the site after this dataset was made; training then refuses it. ``make_up`` counts frames
    by `Flag`, by trigger and by split.
    """

    id: str
    digest: str
    recipe: str
    clips: tuple[tuple[str, str], ...]
    split_by: str
    held_out: tuple[Span, ...]
    frame_weights: FrameWeights
    origins: tuple[str, ...]
    classes: tuple[str, ...]
    make_up: Mapping[str, int] = field(default_factory=dict)
    erased: tuple[str, ...] = ()

    @property
    def parents(self) -> tuple[str, ...]:
        """The clip ids."""
        return tuple(clip for clip, _ in self.clips)


def split(clips: Sequence[Clip], share: float) -> tuple[str, tuple[Span, ...]]:
    """Hold out about ``share`` of the time of ``clips``: (what was kept together, the held-out spans). Pure.

    Which groups are held out follows from the clips' ids alone, so the same clips give the same split at any
    site, whatever their pseudonyms. A group is held out where the digest of its first clip lies below ``share``:
    what was held out once stays so when others arrive. Where that leaves a side empty (small lakes), the group
    with the lowest or highest digest changes sides.
    """
    if not clips or share <= 0:
        return BY_DRIVE, ()
    by_place = all(clip.place for clip in clips)
    groups: dict[tuple[str, ...], list[Clip]] = defaultdict(list)
    first: dict[str, Clip] = {}  # where and when a drive begins is where and when all of it belongs
    for clip in sorted(clips, key=_place_in_order):
        begin = first.setdefault(clip.drive, clip)
        hour = str(begin.start_ns // _HOUR_NS)
        groups[(begin.vehicle, begin.place, hour) if by_place else (clip.drive,)].append(clip)
    if len(groups) == 1 and len({clip.drive for clip in clips}) == 1:
        return BY_BLOCK, _blocks(sorted(clips, key=lambda clip: clip.start_ns), share)
    drawn = {key: _share_drawn(group) for key, group in groups.items()}
    ordered = sorted(groups, key=lambda key: drawn[key])
    chosen = [key for key in ordered if drawn[key] < share] or ordered[:1]
    held = [clip for key in chosen[: len(groups) - 1] for clip in groups[key]]
    return (BY_PLACE if by_place else BY_DRIVE), _spans(held)


def _share_drawn(group: Sequence[Clip]) -> float:
    """A number in [0, 1) that follows from the group's first clip: it never moves as the lake grows."""
    first = min(group, key=lambda clip: (clip.start_ns, clip.id))
    return int(digest_of("split", first.id)[:13], 16) / 16**13


def _spans(clips: Sequence[Clip]) -> tuple[Span, ...]:
    spans = (Span(clip.drive, clip.start_ns, clip.end_ns + 1) for clip in clips)
    return tuple(sorted(spans, key=lambda span: (span.drive, span.start_ns)))


def _blocks(clips: Sequence[Clip], share: float) -> tuple[Span, ...]:
    """Blocks of about 10 s spread evenly over one drive."""
    start, end = clips[0].start_ns, max(clip.end_ns for clip in clips) + 1
    count = max(1, round(share * (end - start) / 10e9))
    length = round(share * (end - start) / count)
    period = (end - start) / count
    begins = [round(start + (k + 0.5) * period - length / 2) for k in range(count)]
    return tuple(Span(clips[0].drive, begin, begin + length) for begin in begins)


TRAIN, HELD_OUT, UNUSED = 0, 1, 2


def side_of(spans: Sequence[Span], drive: str, t_ns: NDArray[np.int64]) -> NDArray[np.uint8]:
    """TRAIN, HELD_OUT or UNUSED (too near to a held-out block) of each time of one drive."""
    side = np.zeros(len(t_ns), np.uint8)
    mine = [span for span in spans if span.drive == drive]
    for span in mine:
        side[(t_ns >= span.start_ns - GAP_NS) & (t_ns < span.end_ns + GAP_NS)] = UNUSED
    for span in mine:
        side[(t_ns >= span.start_ns) & (t_ns < span.end_ns)] = HELD_OUT
    return side


def weights_of(flags: NDArray[np.uint8], weights: FrameWeights) -> NDArray[np.float32]:
    """How often each frame is drawn: the largest weight among its flags; a mere standing frame is thinned."""
    out = np.where(flags & Flag.STANDING, weights.standing, 1.0).astype(np.float32)
    for flag, weight in (
        (Flag.HARD_BRAKE, weights.hard_brake),
        (Flag.TAKE_OVER, weights.take_over),
        (Flag.RECOVERING, weights.recovering),
        (Flag.TURNING, weights.turning),
        (Flag.STARTING, weights.starting),
    ):
        # A standing car may have its wheels turned: that alone makes the frame no less of the same.
        named = (flags & flag) != 0
        if flag is Flag.TURNING:
            named &= (flags & Flag.STANDING) == 0
        out[named] = np.maximum(out[named], weight)
    return out


def make_dataset(clips: Sequence[Clip], labels: Sequence[Labels], recipe: Recipe) -> Dataset:
    """The dataset of these clips by a recipe, pure. Raises BadInput where none has the recipe's first camera."""
    wanted = recipe.cameras[0].name
    pairs = [
        (clip, found)
        for clip, found in sorted(zip(clips, labels, strict=True), key=lambda pair: _place_in_order(pair[0]))
        if clip.media and len(clip.frame_t_ns.get(wanted, ())) and _fits(clip, recipe)
    ]
    if not pairs:
        there = sorted({camera.name for clip in clips for camera in clip.rig.cameras})
        raise BadInput(
            f"no clip has the camera {wanted!r} of recipe {recipe.name!r} in its size",
            place=f"{len(clips)} clips, cameras: {', '.join(there) or 'none'}",
            remedy="ingest logs of such a rig, or choose the recipe that fits the logs",
        )
    kept = [clip for clip, _ in pairs]
    split_by, held_out = split(kept, recipe.held_out)
    contents = {
        "recipe": recipe.name,
        "clips": tuple((clip.id, clip.media) for clip in kept),
        "split_by": split_by,
        "held_out": held_out,
        "frame_weights": recipe.frame_weights,
        "origins": tuple(sorted({origin for clip in kept for origin in clip.origins})),
        "classes": tuple(sorted({name for clip in kept for name in clip.classes})),
    }
    digest = digest_of("dataset", REVISION, LABEL_REVISION, contents)
    return Dataset(id=digest[:16], digest=digest, make_up=_make_up(pairs, held_out), **contents)  # type: ignore[arg-type]


def _fits(clip: Clip, recipe: Recipe) -> bool:
    """Whether the clip's pictures have the recipe's sizes: a lake may hold other rigs with cameras of the same name."""
    sizes = {camera.name: (camera.width_px, camera.height_px) for camera in clip.rig.cameras}
    return all(sizes.get(c.name, (c.width_px, c.height_px)) == (c.width_px, c.height_px) for c in recipe.cameras)


def _place_in_order(clip: Clip) -> tuple[str, int, str]:
    return clip.drive, clip.start_ns, clip.id


def _make_up(pairs: Sequence[tuple[Clip, Labels]], held_out: Sequence[Span]) -> dict[str, int]:
    counts: Counter[str] = Counter(drives=len({clip.drive for clip, _ in pairs}), clips=len(pairs))
    for clip, labels in pairs:
        counts["frames"] += len(labels.t_ns)
        side = side_of(held_out, clip.drive, labels.t_ns)
        counts["frames_train"] += int((side == TRAIN).sum())
        counts["frames_held_out"] += int((side == HELD_OUT).sum())
        for flag in Flag:
            counts[f"frames_{flag.name.lower()}"] += int(((labels.flags & flag) != 0).sum())  # type: ignore[union-attr]
        for trigger in clip.triggers:
            counts[f"triggers_{trigger.name}"] += 1
    return dict(sorted(counts.items()))


def curate(
    site: Site,
    recipe: Recipe,
    where: str | None = None,
    *,
    progress: Callable[[float, float, str], None] | None = None,
) -> Dataset:
    """Label what is not yet labelled, and make a dataset of the lake's clips (or those that match ``where``).

    Kept as ``datasets/ID.json``; the same clips and recipe give the same one. Raises BadInput.
    """
    from inland import lake
    from inland.label import label, read_labels

    label(site, where, progress=progress)
    clips = lake.clips(site, where)
    if not clips:
        raise BadInput(
            "the lake has no clip to train on" if where is None else f"no clip matches {where!r}",
            place=site.root,
            remedy="ingest logs first",
        )
    dataset = make_dataset(clips, list(read_labels(site, [clip.id for clip in clips])), recipe)
    site.storage.put(f"datasets/{dataset.id}.json", dataset_bytes(dataset), if_absent=True)
    details = {"recipe": recipe.name, "clips": len(dataset.clips), "split_by": dataset.split_by}
    row = {
        "id": dataset.digest,
        "kind": "dataset",
        "parents": list(dataset.parents),
        "origins": list(dataset.origins),
        "developers": [site.creator] if site.creator else [],
        "classes": list(dataset.classes),
        "station": "curate",
        "revision": REVISION,
        "created_by": site.id,
        "details": json.dumps(details, sort_keys=True),
    }
    lake.append(site, "artifacts", [row])
    return dataset


def dataset_bytes(dataset: Dataset) -> bytes:
    """A dataset as JSON."""
    return json.dumps(asdict(dataset), sort_keys=True, indent=1).encode() + b"\n"


def dataset_of_bytes(data: bytes) -> Dataset:
    """The inverse of `dataset_bytes`."""
    record: dict[str, Any] = json.loads(data)
    record["clips"] = tuple((clip, media) for clip, media in record["clips"])
    record["held_out"] = tuple(Span(**span) for span in record["held_out"])
    record["frame_weights"] = FrameWeights(**record["frame_weights"])
    for name in ("origins", "classes", "erased"):
        record[name] = tuple(record[name])
    return Dataset(**record)


def read_dataset(site: Site, ident: str) -> Dataset:
    """The dataset of that id. Raises BadInput where there is none."""
    try:
        return dataset_of_bytes(site.storage.get(f"datasets/{ident}.json"))
    except NotStored as error:
        raise BadInput(
            f"this site has no dataset {ident!r}", place="datasets/", remedy="make one with curate"
        ) from error
