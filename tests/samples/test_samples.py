from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_clips import CAMERAS, STEP_NS, TINY, filled_site, made_clip

from inland import samples
from inland.curate import Dataset, curate
from inland.errors import BadInput, StorageError
from inland.model import prepare
from inland.recipes import CameraInput
from inland.samples import history_rows, open_samples, pick_frames, prepare_array
from inland.site import Site


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 4), st.booleans(), st.integers(0, 3), st.integers(0, 2**31))
def test_the_table_and_the_graph_prepare_a_picture_to_the_same_bits(
    shrink: int, mirrored: bool, top: int, seed: int
) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (27, 34, 3), np.uint8)
    camera = CameraInput("front", 34, 27, top, 27 - top, shrink=shrink, mirrored=mirrored)
    ours = prepare_array(picture, camera)
    assert ours.shape == (*camera.input_px, 3)
    np.testing.assert_array_equal(ours, prepare(torch.from_numpy(picture), camera).numpy())


def test_history_is_half_a_second_back_and_the_first_row_stands_in_at_the_start_of_a_drive() -> None:
    t_ns = np.concatenate([np.arange(20), np.arange(10)]).astype(np.int64) * STEP_NS
    rows = history_rows(["a"] * 20 + ["b"] * 10, t_ns, 3, 0.5)
    assert rows[0].tolist() == [0, 0, 0]
    assert rows[7].tolist() == [0, 2, 7]
    assert rows[19].tolist() == [9, 14, 19]
    assert rows[20].tolist() == [20, 20, 20]
    assert rows[26].tolist() == [20, 21, 26]


def test_a_gap_in_a_drive_leaves_no_history_rather_than_a_wrong_one() -> None:
    t_ns = np.concatenate([np.arange(10), 30 + np.arange(10)]).astype(np.int64) * STEP_NS
    rows = history_rows(["a"] * 20, t_ns, 2, 0.5)
    assert rows[12].tolist() == [-1, 12]
    assert rows[15].tolist() == [10, 15]


def test_a_frame_farther_than_the_tolerance_is_missing() -> None:
    clip, _ = made_clip(0)
    late = replace(clip, frame_t_ns={"front": clip.frame_t_ns["front"], "left": clip.frame_t_ns["front"] + 70_000_000})
    picks = pick_frames(late, "left", late.frame_t_ns["front"])
    assert picks[0] == -1
    assert picks[1:].tolist() == list(range(39))  # 30 ms the other way
    assert (pick_frames(late, "right", late.frame_t_ns["front"]) == -1).all()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, Dataset]:
    site = filled_site(tmp_path_factory.mktemp("samples") / "site", clips=4)
    return site, curate(site, TINY)


def test_a_batch_from_disk_and_from_memory_are_the_clips_own_pixels(built: tuple[Site, Dataset]) -> None:
    from inland.lake import clips, media_key
    from inland.video import decode_clip

    site, dataset = built
    table = open_samples(site, dataset, TINY, processes=1)
    assert len(table) == 160
    assert len(table.train_rows) == 120
    assert len(table.held_out_rows) == 40
    rows = np.array([3, 150, 47, 3])
    on_disk = table.batch(rows)
    assert table.hold_in_memory(10**9)
    held = table.batch(rows)
    for camera in CAMERAS:
        assert on_disk.pictures[camera.name].shape == (4, 2, *camera.input_px, 3)
        np.testing.assert_array_equal(on_disk.pictures[camera.name], held.pictures[camera.name])
    order = [clip for clip, _ in dataset.clips]
    clip = {c.id: c for c in clips(site)}[order[1]]
    decoded = list(decode_clip(site.storage.get(media_key(clip.media)), 0))
    np.testing.assert_array_equal(held.pictures["front"][2, 1], prepare_array(decoded[7], CAMERAS[0]))
    np.testing.assert_array_equal(held.pictures["front"][2, 0], prepare_array(decoded[2], CAMERAS[0]))
    assert not table.batch(rows, look=False).pictures


def test_a_table_too_big_for_memory_stays_on_disk(built: tuple[Site, Dataset]) -> None:
    site, dataset = built
    assert not open_samples(site, dataset, TINY, processes=1).hold_in_memory(1000)


def test_a_killed_decoding_goes_on_and_ends_with_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "_CLIPS_PER_COMMIT", 2)
    whole_site = filled_site(tmp_path / "whole", clips=5)
    whole = open_samples(whole_site, curate(whole_site, TINY), TINY, processes=1)
    site = filled_site(tmp_path / "killed", clips=5)
    dataset = curate(site, TINY)
    decode, calls = samples._decode, []

    def dies(work: object) -> object:
        calls.append(work)
        if len(calls) == 4:
            raise StorageError("killed")
        return decode(work)  # type: ignore[arg-type]

    monkeypatch.setattr(samples, "_decode", dies)
    with pytest.raises(StorageError, match="killed"):
        open_samples(site, dataset, TINY, processes=1)
    table = open_samples(site, dataset, TINY, processes=1)
    assert len(calls) == 4 + 3  # two clips were committed and are not decoded again
    rows = np.arange(len(whole))
    for name in ("clip", "t_ns", "targets", "history", "present", "flags"):
        np.testing.assert_array_equal(getattr(table.moments, name), getattr(whole.moments, name))
    for name, shown in whole.pictures(rows[:, None].astype(np.int32)).items():
        np.testing.assert_array_equal(table.pictures(rows[:, None].astype(np.int32))[name], shown)


def test_pictures_of_another_size_are_refused_with_both_sizes(built: tuple[Site, Dataset]) -> None:
    site, dataset = built
    wide = TINY.with_(cameras=(replace(CAMERAS[0], width_px=128),))
    with pytest.raises(BadInput, match="recorded 64x48, the recipe takes 128x48"):
        open_samples(site, dataset, wide, processes=1)


def test_a_dataset_that_names_erased_clips_is_refused(built: tuple[Site, Dataset]) -> None:
    site, dataset = built
    with pytest.raises(BadInput, match="erased"):
        open_samples(site, replace(dataset, erased=(dataset.clips[0][0],)), TINY, processes=1)


def test_a_table_knows_no_latitude_or_longitude(built: tuple[Site, Dataset]) -> None:
    import lance

    site, dataset = built
    open_samples(site, dataset, TINY, processes=1)
    for key in site.storage.list("samples/"):
        if key.endswith(".manifest"):
            names = lance.dataset(site.storage.uri(key.split("/_versions")[0])).schema.names
            assert not [n for n in names if "lat" in n or "lon" in n]
