"""The driven car: a kinematic bicycle seen from its rear axle, with actuators that lag and have limits.

A driver asks for curvature and acceleration; the actuators follow as first-order lags; over one step the rear
axle runs an exact circular arc. Tyres hold a bounded lateral acceleration, and the car never rolls backwards.
"""

from __future__ import annotations

from math import cos, exp, isnan, sin

from inland.world.state import ACCELERATION_LIMITS_MPS2, MAX_CURVATURE_1PM, STEP_NS, Control, Ego

STEP_S = STEP_NS / 1e9
CURVATURE_LAG_S = 0.15
ACCELERATION_LAG_S = 0.20
CURVATURE_RATE_1PM_PER_S = 0.25
"""How fast steering turns: about 0.6 rad/s at the front wheels over a 2.8 m wheelbase."""
TYRE_LIMIT_MPS2 = 7.0
"""Lateral acceleration that dry tyres hold; beyond it the car runs wide."""


def clipped(value: float, low: float, high: float) -> float:
    """``value`` within [low, high]; not-a-number becomes 0, so that a broken driver steers nowhere."""
    if isnan(value):
        value = 0.0
    return min(max(value, low), high)


def step_vehicle(ego: Ego, control: Control, step_s: float = STEP_S) -> Ego:
    """Move the ego by one step of ``step_s`` seconds under ``control``.

    Acceleration a(t) = u + (a0 - u) exp(-t / lag), integrated exactly for the speed; curvature likewise,
    with a rate limit; the rear axle runs an arc of the step's mean curvature over the step's distance.
    """
    asked = clipped(control.acceleration_mps2, *ACCELERATION_LIMITS_MPS2)
    fade = exp(-step_s / ACCELERATION_LAG_S)
    acceleration = asked + (ego.acceleration_mps2 - asked) * fade
    mean_acceleration = asked + (ego.acceleration_mps2 - asked) * ACCELERATION_LAG_S / step_s * (1 - fade)
    speed = ego.speed_mps + mean_acceleration * step_s
    if speed > 0.0:
        distance = (ego.speed_mps + speed) / 2 * step_s
    else:
        # It came to rest within the step: v^2 / 2a, not the mean of the speeds.
        distance = ego.speed_mps**2 / (2 * -mean_acceleration) if mean_acceleration < 0 else 0.0
        speed, acceleration = 0.0, 0.0

    wanted = clipped(control.curvature_1pm, -MAX_CURVATURE_1PM, MAX_CURVATURE_1PM)
    fade = exp(-step_s / CURVATURE_LAG_S)
    reach = CURVATURE_RATE_1PM_PER_S * step_s
    turned = clipped((wanted - ego.curvature_1pm) * (1 - fade), -reach, reach)
    held = TYRE_LIMIT_MPS2 / max(speed, 0.1) ** 2
    curvature = clipped(ego.curvature_1pm + turned, -held, held)

    mean_curvature = (ego.curvature_1pm + curvature) / 2
    turn = mean_curvature * distance
    chord = distance * (sin(turn / 2) / (turn / 2) if abs(turn) > 1e-9 else 1.0)
    heading = ego.yaw_rad + turn / 2
    return Ego(
        x_m=ego.x_m + chord * cos(heading),
        y_m=ego.y_m + chord * sin(heading),
        yaw_rad=ego.yaw_rad + turn,
        speed_mps=speed,
        acceleration_mps2=acceleration,
        curvature_1pm=curvature,
    )
