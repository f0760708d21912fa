from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning_clips import STEP_NS, made_clip, signal

from inland.clip import Signal, Trigger
from inland.label import (
    GAP_NS,
    TOLERANCE_NS,
    Flag,
    between,
    hindsight,
    label_row,
    labels_of_row,
    nearest,
)

T = np.arange(80, dtype=np.int64) * STEP_NS


def test_the_trajectory_is_where_the_log_says_the_car_went() -> None:
    # A circle of curvature k at speed v: after t seconds at (sin(kvt)/k, (1 - cos(kvt))/k) from where it was.
    k, v = 0.05, 8.0
    t_s = T / 1e9
    yaw = k * v * t_s + 2.0
    odometry = {
        "odometry_x_m": signal("odometry_x_m", T, np.sin(yaw) / k),
        "odometry_y_m": signal("odometry_y_m", T, -np.cos(yaw) / k),
        "odometry_yaw_rad": signal("odometry_yaw_rad", T, np.angle(np.exp(1j * yaw))),
    }
    clip, _ = made_clip(0, begin_ns=0, more=odometry)
    ahead = 0.5 * np.arange(1, 7)
    expected = np.stack([np.sin(k * v * ahead) / k, (1 - np.cos(k * v * ahead)) / k], 1)
    for row in hindsight(clip).trajectory_m:
        np.testing.assert_allclose(row, expected, atol=1e-3)


def test_without_odometry_speed_and_yaw_rate_are_integrated_to_the_same_path() -> None:
    with_odometry, _ = made_clip(1)
    without, _ = made_clip(1, drop=("odometry_x_m", "odometry_y_m", "odometry_yaw_rad"))
    a, b = hindsight(with_odometry).trajectory_m, hindsight(without).trajectory_m
    assert np.isfinite(b).all()
    np.testing.assert_allclose(a, b, atol=1e-3)


def test_a_persons_command_is_the_label_and_a_models_is_masked() -> None:
    ego_t = 1_000_000_000 + STEP_NS * np.arange(80, dtype=np.int64)
    person = np.ones(80)
    person[10:20] = 0
    clip, _ = made_clip(2, more={"human_at_wheel": signal("human_at_wheel", ego_t, person)})
    found = hindsight(clip)
    by_model = (np.arange(40) >= 10) & (np.arange(40) < 20)
    np.testing.assert_array_equal(np.isnan(found.curvature_1pm), by_model)
    np.testing.assert_array_equal(np.isnan(found.acceleration_mps2), by_model)
    command = clip.signals["command_curvature_1pm"].value[:40]
    np.testing.assert_array_equal(found.curvature_1pm[~by_model], command[~by_model])
    # Frame 6 is 0.4 s before the model took over: no point of its path is all a person's.
    assert np.isnan(found.trajectory_m[6]).all()
    # Frame 4 reaches 0.5 s ahead to frame 9, still a person; its 1.0 s point lies in the model's time.
    assert np.isfinite(found.trajectory_m[4, 0]).all()
    assert np.isnan(found.trajectory_m[4, 1:]).all()


def test_a_vehicle_with_a_release_that_does_not_say_who_drove_gives_no_label() -> None:
    clip, _ = made_clip(3, drop=("human_at_wheel",), release="ab" * 16)
    found = hindsight(clip)
    assert np.isnan(found.curvature_1pm).all()
    assert np.isnan(found.trajectory_m).all()
    plain, _ = made_clip(3, drop=("human_at_wheel",))
    assert np.isfinite(hindsight(plain).curvature_1pm).all()


def test_without_commands_the_controls_are_read_from_the_future() -> None:
    ego_t = 1_000_000_000 + STEP_NS * np.arange(80, dtype=np.int64)
    speed = signal("speed_mps", ego_t, 5.0 + 0.1 * np.arange(80) * 1.5)  # 1.5 m/s2
    rate = signal("yaw_rate_radps", ego_t, 0.04 * speed.value)
    clip, _ = made_clip(
        4,
        drop=("command_curvature_1pm", "command_acceleration_mps2"),
        more={"speed_mps": speed, "yaw_rate_radps": rate},
    )
    found = hindsight(clip)
    np.testing.assert_allclose(found.acceleration_mps2, 1.5, atol=1e-4)
    np.testing.assert_allclose(found.curvature_1pm, 0.04, atol=1e-5)


def test_the_last_frames_have_a_future_because_ego_signals_run_on() -> None:
    clip, _ = made_clip(5)
    assert np.isfinite(hindsight(clip).trajectory_m).all()
    cut = {name: Signal(name, found.t_ns[:40], found.value[:40], found.clock) for name, found in clip.signals.items()}
    short, _ = made_clip(5, more=cut)
    found = hindsight(short).trajectory_m
    assert np.isnan(found[-1]).all()
    assert np.isfinite(found[5]).all()


def test_nothing_is_invented_where_a_log_lacks_a_field() -> None:
    clip, _ = made_clip(6)
    bare, _ = made_clip(6, drop=tuple(clip.signals))
    found = hindsight(bare)
    for field in (found.trajectory_m, found.curvature_1pm, found.acceleration_mps2, found.speed_mps, found.route):
        assert np.isnan(field).all()
    assert (found.flags == 0).all()


def test_tapped_keys_are_read_as_the_arc_between_and_only_where_the_log_has_them() -> None:
    ego_t = 1_000_000_000 + STEP_NS * np.arange(80, dtype=np.int64)
    taps = np.where(np.arange(80) % 3 == 0, 0.9, 0.0)
    taps[60:] = np.nan
    clip, _ = made_clip(6, frames=70, more={"steering_normalised": signal("steering_normalised", ego_t, taps)})
    found = hindsight(clip).steering_normalised
    np.testing.assert_allclose(found[4:55], 0.3, atol=1e-6)  # nine samples hold exactly three taps
    assert np.isfinite(found[:60]).all()
    assert np.isnan(found[60:]).all()


def test_frames_near_a_take_over_and_standing_and_braking_ones_are_flagged() -> None:
    ego_t = 1_000_000_000 + STEP_NS * np.arange(80, dtype=np.int64)
    speed = np.concatenate([np.linspace(6, 0, 20), np.zeros(40), np.linspace(0, 8, 20)])
    command = np.concatenate([np.full(20, -3.2), np.zeros(60)])
    clip, _ = made_clip(
        7,
        frames=70,
        more={
            "speed_mps": signal("speed_mps", ego_t, speed),
            "command_acceleration_mps2": signal("command_acceleration_mps2", ego_t, command),
        },
        triggers=(Trigger("take_over", 1_000_000_000 + 50 * STEP_NS),),
    )
    flags = hindsight(clip).flags
    assert (flags[:18] & Flag.HARD_BRAKE).all()
    assert (flags[22:45] & Flag.STANDING).all()
    assert (flags[55:60] & Flag.STARTING).all()
    assert not (flags[55:60] & Flag.STANDING).any()
    np.testing.assert_array_equal(np.flatnonzero(flags & Flag.TAKE_OVER), np.arange(30, 70))


def test_a_push_that_nobody_commanded_is_a_recovery() -> None:
    ego_t = 1_000_000_000 + STEP_NS * np.arange(80, dtype=np.int64)
    driven = np.zeros(80)
    driven[20:24] = 0.06
    clip, _ = made_clip(
        8,
        more={
            "curvature_1pm": signal("curvature_1pm", ego_t, driven),
            "command_curvature_1pm": signal("command_curvature_1pm", ego_t, np.zeros(80)),
        },
    )
    np.testing.assert_array_equal(np.flatnonzero(hindsight(clip).flags & Flag.RECOVERING), np.arange(20, 39))


def test_labels_survive_the_lakes_row() -> None:
    clip, _ = made_clip(9)
    found = hindsight(clip)
    again = labels_of_row(label_row(found))
    for name in ("t_ns", "trajectory_m", "curvature_1pm", "acceleration_mps2", "speed_mps", "route", "flags"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
        assert getattr(again, name).dtype == getattr(found, name).dtype


@given(st.lists(st.integers(1, 500), min_size=1, max_size=30), st.integers(-2000, 20000))
def test_a_value_is_known_only_within_the_stated_tolerance(gaps_ms: list[int], at_ms: int) -> None:
    t_ns = np.cumsum(gaps_ms).astype(np.int64) * 1_000_000
    found = Signal("speed_mps", t_ns, np.arange(len(t_ns), dtype=np.float32))
    at = np.array([at_ms * 1_000_000], np.int64)
    apart = np.abs(t_ns - at[0])
    assert np.isfinite(nearest(found, at)[0]) == (apart.min() <= TOLERANCE_NS)
    value = between(found, at)[0]
    before, after = t_ns[t_ns <= at[0]], t_ns[t_ns >= at[0]]
    known = len(before) > 0 and len(after) > 0 and after[0] - before[-1] <= GAP_NS
    assert np.isfinite(value) == known
    if known:
        low = int((t_ns <= at[0]).sum()) - 1
        assert low - 1e-4 <= value <= low + 1 + 1e-4


def test_missing_values_inside_a_signal_are_not_bridged_beyond_the_gap() -> None:
    value = np.arange(80, dtype=np.float32)
    value[10:14] = np.nan
    value[30] = np.nan
    found = between(Signal("speed_mps", T, value), T)
    assert np.isnan(found[10:14]).all()
    assert found[30] == pytest.approx(30)


def test_a_changed_label_must_raise_the_revision() -> None:
    from inland.digest import digest_of
    from inland.label import FIELDS, REVISION

    clip, _ = made_clip(0, more={"steering_normalised": signal("steering_normalised", T + 1_000_000_000, T / 9e9)})
    found = hindsight(clip)
    rounded = {name: np.nan_to_num(getattr(found, name).astype(np.float64), nan=-99.0) for name in FIELDS}
    golden = {name: (np.round(value, 3) + 0.0).tolist() for name, value in rounded.items()}
    assert (REVISION, digest_of(golden)[:16]) == (4, "eb449e810b6b83f8")
