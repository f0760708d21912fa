from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning_clips import TINY, filled_site, made_clip

from inland.clip import Clip
from inland.curate import (
    BY_BLOCK,
    BY_DRIVE,
    BY_PLACE,
    GAP_NS,
    HELD_OUT,
    TRAIN,
    UNUSED,
    Span,
    curate,
    dataset_bytes,
    dataset_of_bytes,
    make_dataset,
    read_dataset,
    side_of,
    split,
    weights_of,
)
from inland.errors import BadInput
from inland.label import Flag, hindsight
from inland.recipes import FrameWeights

CLIP, _ = made_clip(0)


def made(n: int, drive: str, second: int, vehicle: str = "v", place: str = "") -> Clip:
    return replace(
        CLIP,
        id=f"{n:064x}",
        drive=drive,
        vehicle=vehicle,
        place=place,
        start_ns=second * 1_000_000_000,
        end_ns=second * 1_000_000_000 + 9_900_000_000,
    )


@given(st.integers(2, 12), st.integers(1, 4), st.floats(0.05, 0.5))
def test_a_drive_is_never_on_both_sides(drives: int, clips: int, share: float) -> None:
    all_clips = [made(d * 10 + c, f"d{d}", c * 10) for d in range(drives) for c in range(clips)]
    split_by, spans = split(all_clips, share)
    assert split_by == BY_DRIVE
    sides = {
        d: {int(s) for c in all_clips if c.drive == d for s in side_of(spans, d, np.array([c.start_ns, c.end_ns]))}
        for d in {c.drive for c in all_clips}
    }
    assert all(len(side) == 1 for side in sides.values())
    assert {TRAIN, HELD_OUT} == set.union(*sides.values())


def test_one_vehicle_at_one_place_in_one_hour_stays_together() -> None:
    clips = [made(i, f"d{i}", i * 30, vehicle=f"v{i % 2}", place=f"p{i % 3}") for i in range(24)]
    split_by, spans = split(clips, 0.3)
    assert split_by == BY_PLACE
    held = {(c.vehicle, c.place) for c in clips if c.drive in {span.drive for span in spans}}
    trained = {(c.vehicle, c.place) for c in clips if c.drive not in {span.drive for span in spans}}
    assert held
    assert trained
    assert not held & trained


def test_what_is_held_out_stays_so_as_the_lake_grows() -> None:
    def held(clips: list[Clip]) -> set[str]:
        return {span.drive for span in split(clips, 0.2)[1]}

    many = [made(n, f"d{n}", n * 30) for n in range(60)]
    before = held(many[:30])
    assert before <= held(many)
    assert held(many) & {clip.drive for clip in many[:30]} == before
    assert 4 <= len(held(many)) <= 20  # 20% of 60 groups, drawn


def test_a_pseudonym_does_not_decide_what_is_held_out() -> None:
    clips = [made(i, f"d{i}", i * 30, vehicle=f"v{i}", place="p") for i in range(9)]
    renamed = [replace(c, vehicle=f"other-{9 - i}", place="q") for i, c in enumerate(clips)]
    assert split(clips, 0.3) == split(renamed, 0.3)


def test_blocks_of_a_single_drive_keep_two_seconds_from_the_rest() -> None:
    clips = [made(i, "only", i * 10) for i in range(12)]
    split_by, spans = split(clips, 0.2)
    assert split_by == BY_BLOCK
    t_ns = np.arange(0, 120_000_000_000, 100_000_000, dtype=np.int64)
    side = side_of(spans, "only", t_ns)
    assert 0.15 < (side == HELD_OUT).mean() < 0.25
    train, held = t_ns[side == TRAIN], t_ns[side == HELD_OUT]
    assert min(abs(t - held).min() for t in train) >= GAP_NS
    assert (side == UNUSED).any()


def test_a_mere_standing_frame_is_thinned_and_a_take_over_counts_more() -> None:
    weights = FrameWeights()
    flags = np.array(
        [
            0,
            Flag.STANDING,
            Flag.STANDING | Flag.TURNING,
            Flag.STANDING | Flag.TAKE_OVER,
            Flag.TURNING,
            Flag.TURNING | Flag.HARD_BRAKE,
        ],
        np.uint8,
    )
    np.testing.assert_allclose(weights_of(flags, weights), [1.0, 0.1, 0.1, 4.0, 2.0, 4.0])


def test_a_dataset_is_immutable_and_survives_its_file() -> None:
    clips = [made_clip(n)[0] for n in range(3)]
    dataset = make_dataset(clips, [hindsight(clip) for clip in clips], TINY)
    assert dataset_of_bytes(dataset_bytes(dataset)) == dataset
    with pytest.raises(AttributeError):
        dataset.digest = ""  # type: ignore[misc]
    backwards = make_dataset(clips[::-1], [hindsight(clip) for clip in clips[::-1]], TINY)
    assert backwards.digest == dataset.digest
    fewer = make_dataset(clips[:2], [hindsight(clip) for clip in clips[:2]], TINY)
    assert fewer.digest != dataset.digest
    new_pixels = [replace(clips[0], media="ff" * 32), *clips[1:]]
    assert make_dataset(new_pixels, [hindsight(c) for c in new_pixels], TINY).digest != dataset.digest


def test_clips_without_the_recipes_camera_are_refused_by_name() -> None:
    clip, _ = made_clip(0)
    other = TINY.with_(cameras=(replace(TINY.cameras[0], name="dashcam"),))
    with pytest.raises(BadInput, match="dashcam"):
        make_dataset([clip], [hindsight(clip)], other)


def test_curating_twice_gives_the_same_dataset_and_one_lineage_row(tmp_path: Path) -> None:
    from inland import lake

    site = filled_site(tmp_path / "site", clips=3)
    first = curate(site, TINY)
    assert curate(site, TINY) == first
    assert read_dataset(site, first.id) == first
    rows = lake.scan(site, "artifacts").to_pylist()
    assert [(row["kind"], row["id"]) for row in rows] == [("dataset", first.digest)]
    assert sorted(rows[0]["parents"]) == sorted(first.parents)
    assert first.make_up["frames"] == 120
    assert all(isinstance(span, Span) for span in first.held_out)


def test_an_empty_lake_says_what_to_do(tmp_path: Path) -> None:
    from inland.site import init_site

    with pytest.raises(BadInput, match="ingest logs first"):
        curate(init_site(tmp_path / "site", "us"), TINY)


def test_a_changed_dataset_must_raise_the_revision() -> None:
    # Clips made by hand, no pixels: this digest must be the same on every machine.
    from inland.curate import REVISION
    from inland.label import REVISION as LABEL_REVISION

    clips = [replace(made(i, f"d{i // 3}", i * 10), media=f"{i:064x}") for i in range(9)]
    dataset = make_dataset(clips, [hindsight(clip) for clip in clips], TINY)
    assert (REVISION, LABEL_REVISION, dataset.id) == (2, 4, "e9703273742ebd24")
