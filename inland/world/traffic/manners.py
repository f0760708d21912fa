"""What keeps others from driving into the ego where SUMO's own rules do not: plain geometry, for anybody near.

SUMO knows lanes; an ego that stands half across one, or turns in front of a stream that has right of way, is not on
any lane that the stream looks at. Nobody here gives way early: they brake when the ego is bodily in their path.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from inland.world.state import EGO_SHAPE, Ego

BRAKE_MPS2 = 5.0
REACTION_S = 0.25
SPARE_M = 0.7
NEAR_M = 22.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle that moves along its heading: centre, yaw, length, width, speed; SI units."""

    x_m: float
    y_m: float
    yaw_rad: float
    length_m: float
    width_m: float
    speed_mps: float


def ego_box(ego: Ego) -> Box:
    """The ego's body."""
    x = ego.x_m + EGO_SHAPE.centre_ahead_m * math.cos(ego.yaw_rad)
    y = ego.y_m + EGO_SHAPE.centre_ahead_m * math.sin(ego.yaw_rad)
    return Box(x, y, ego.yaw_rad, EGO_SHAPE.length_m, EGO_SHAPE.width_m, ego.speed_mps)


def must_brake(other: Box, ego: Box) -> bool:
    """Whether ``other`` would reach the ego's body if it did not brake now.

    Its way to stop (relative to the ego's speed along it) is swept straight ahead.
    """
    turn = ego.yaw_rad - other.yaw_rad
    closing = other.speed_mps - ego.speed_mps * math.cos(turn)
    if closing <= 0.0 or other.speed_mps <= 0.0:
        return False
    reach = SPARE_M + closing * REACTION_S + closing * closing / (2 * BRAKE_MPS2)
    dx, dy = ego.x_m - other.x_m, ego.y_m - other.y_m
    c, s = math.cos(other.yaw_rad), math.sin(other.yaw_rad)
    ahead, left = dx * c + dy * s - other.length_m / 2, -dx * s + dy * c
    if ahead <= 0.0:  # the ego's middle is not before its front: whoever is beside passes
        return False
    half_ahead = abs(math.cos(turn)) * ego.length_m / 2 + abs(math.sin(turn)) * ego.width_m / 2
    half_left = abs(math.sin(turn)) * ego.length_m / 2 + abs(math.cos(turn)) * ego.width_m / 2
    if ahead - half_ahead > reach or abs(left) - half_left > other.width_m / 2:
        return False
    return _overlap(reach, other.width_m / 2, ahead, left, turn, ego)


def _overlap(reach: float, half_m: float, ahead: float, left: float, turn: float, ego: Box) -> bool:
    """The ego's own axes against the swept rectangle [0, reach] x [-half, half] (its axes were tried before)."""
    c, s = math.cos(turn), math.sin(turn)
    corners = [(x, y) for x in (0.0, reach) for y in (-half_m, half_m)]
    along = [(x - ahead) * c + (y - left) * s for x, y in corners]
    across = [-(x - ahead) * s + (y - left) * c for x, y in corners]
    return not (
        min(along) > ego.length_m / 2
        or max(along) < -ego.length_m / 2
        or min(across) > ego.width_m / 2
        or max(across) < -ego.width_m / 2
    )
