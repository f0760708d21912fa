from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inland.world.driving.vehicle import (
    ACCELERATION_LAG_S,
    CURVATURE_RATE_1PM_PER_S,
    TYRE_LIMIT_MPS2,
    step_vehicle,
)
from inland.world.state import ACCELERATION_LIMITS_MPS2, MAX_CURVATURE_1PM, Control, Ego

anything = st.floats(allow_nan=True, allow_infinity=True)


def drive(ego: Ego, control: Control, steps: int) -> Ego:
    for _ in range(steps):
        ego = step_vehicle(ego, control)
    return ego


def test_a_settled_curvature_drives_an_exact_circle() -> None:
    # Radius 20 m at 5 m/s: after k steps of 0.1 s the rear axle has run 0.5 k metres of arc, whatever the step.
    ego = Ego(0.0, 0.0, 0.0, 5.0, 0.0, 0.05)
    for k in range(1, 200):
        ego = step_vehicle(ego, Control(0.05, 0.0))
        turn = 0.5 * k / 20.0
        assert ego.x_m == pytest.approx(20 * math.sin(turn), abs=1e-9)
        assert ego.y_m == pytest.approx(20 * (1 - math.cos(turn)), abs=1e-9)


def test_acceleration_follows_as_a_first_order_lag() -> None:
    # a(t) = u (1 - exp(-t / lag)); v(t) is its integral u (t - lag (1 - exp(-t / lag))).
    ego = drive(Ego(0, 0, 0, 0.0), Control(0.0, 2.0), 10)
    fade = math.exp(-1.0 / ACCELERATION_LAG_S)
    assert ego.acceleration_mps2 == pytest.approx(2 * (1 - fade))
    assert ego.speed_mps == pytest.approx(2 * (1 - ACCELERATION_LAG_S * (1 - fade)))


def test_braking_ends_at_rest_and_never_rolls_back() -> None:
    ego = drive(Ego(0, 0, 0, 8.0, -4.0), Control(0.0, -4.0), 40)
    assert ego.speed_mps == 0.0
    assert ego.acceleration_mps2 == 0.0
    # v^2 / 2a with a settled brake, up to the half step in which it comes to rest.
    assert ego.x_m == pytest.approx(8.0**2 / 8.0, abs=0.01)
    assert drive(ego, Control(0.0, -4.0), 10) == ego


def test_steering_turns_at_a_bounded_rate() -> None:
    ego = step_vehicle(Ego(0, 0, 0, 2.0), Control(MAX_CURVATURE_1PM, 0.0))
    assert ego.curvature_1pm == pytest.approx(CURVATURE_RATE_1PM_PER_S * 0.1)


def test_a_broken_driver_steers_nowhere() -> None:
    ego = step_vehicle(Ego(0, 0, 0, 5.0), Control(math.nan, math.nan))
    assert (ego.y_m, ego.yaw_rad, ego.speed_mps) == (0.0, 0.0, 5.0)


@given(anything, anything, st.floats(0, 30), st.floats(-0.2, 0.2), st.floats(-8, 3))
def test_limits_hold_whatever_is_asked(
    curvature: float, acceleration: float, speed: float, before: float, acceleration_before: float
) -> None:
    held = TYRE_LIMIT_MPS2 / max(speed, 0.1) ** 2
    ego = Ego(0, 0, 0, speed, acceleration_before, max(min(before, held), -held))
    after = step_vehicle(ego, Control(curvature, acceleration))
    low, high = ACCELERATION_LIMITS_MPS2
    assert after.speed_mps >= 0
    assert low - 1e-9 <= after.acceleration_mps2 <= high + 1e-9
    assert abs(after.curvature_1pm) <= MAX_CURVATURE_1PM + 1e-9
    assert abs(after.curvature_1pm) * after.speed_mps**2 <= TYRE_LIMIT_MPS2 + 1e-6
    travelled = math.hypot(after.x_m, after.y_m)
    assert travelled <= (speed + after.speed_mps) / 2 * 0.1 + 1e-9
