"""A hand-made straight road, states and logs, for tests that derive their numbers on paper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inland.world.episode_log import EpisodeLog
from inland.world.state import STEP_NS, Actors, Ego, Kind, Light, WorldState
from inland.world.towns import EpisodeSpec
from inland.world.traffic.layout import Anchor, Lane, LaneKind, Layout, Route, Signal

LENGTH_M = 200.0
LINE_M = 100.0
SPEC = EpisodeSpec("town_us", "us_oak", "curves", "develop", 0, 7)


def straight_layout() -> Layout:
    """East along y = 0: lane `a` to x = 100, junction lane `j` to 120, lane `b` to 200; oncoming lane at y = 3.5.

    All lanes are 3.5 m wide; a signal's stop line lies at x = 100. The drivable area is -1.75 <= y <= 5.25.
    """

    def lane(name: str, x0: float, x1: float, y: float, junction: str = "") -> Lane:
        centre = np.array([[x0, y], [x1, y]])
        return Lane(name, name, 0, LaneKind.DRIVE, centre, 3.5, 12.0, junction)

    lanes = [lane("a", 0, 100, 0), lane("j", 100, 120, 0, "J"), lane("b", 120, 200, 0), lane("o", 200, 0, 3.5)]
    signal = Signal("s", np.array([[LINE_M, -1.75], [LINE_M, 1.75]]), np.array([[125.0, 0, 5, np.pi]]), ("a",), ("j",))
    road = np.array([[-10, -1.75], [LENGTH_M + 10, -1.75], [LENGTH_M + 10, 5.25], [-10, 5.25]])
    return Layout(
        "straight", "town_us", Anchor(0, 0), {k.id: k for k in lanes}, (signal,), (road,), {}, {}, (road,), (), (), ()
    )  # fmt: skip


def straight_route() -> Route:
    """The ego's way along y = 0, one point a metre, limit 12 m/s."""
    s = np.arange(0.0, LENGTH_M + 0.5, 1.0)
    return Route(("a", "j", "b"), np.stack([s, 0 * s], -1), s, np.full(len(s), 12.0), ((LINE_M, LINE_M + 20.0, 2),))


def others(*rows: tuple[int, Kind, float, float, float, float]) -> Actors:
    """Road users from (id, kind, x, y, yaw, speed), with the usual size of their kind."""
    sizes = {Kind.PEDESTRIAN: (0.5, 0.5, 1.7), Kind.SCOOTER: (1.8, 0.7, 1.6), Kind.OBSTACLE: (1.0, 1.0, 1.0)}
    size = [sizes.get(r[1], (4.5, 1.8, 1.5)) for r in rows]
    column = list(zip(*rows, strict=True)) if rows else [()] * 6
    return Actors(
        np.array(column[0], np.int32),
        np.array(column[1], np.uint8),
        *(np.array(column[i], np.float32) for i in (2, 3, 4, 5)),
        np.array(size, np.float32).reshape(-1, 3),
        np.zeros(len(rows), np.uint8),
        np.zeros(len(rows), np.bool_),
    )


def state(step: int, ego: Ego, actors: Actors | None = None, light: Light = Light.GREEN) -> WorldState:
    """One state; the only signal shows ``light``."""
    return WorldState(step * STEP_NS, ego, others() if actors is None else actors, np.array([light], np.uint8))


def make_log(states: Sequence[WorldState], end: str = "completed", free_flow_s: float = 20.0) -> EpisodeLog:
    """A log of these states in which a model drove."""
    n = len(states) - 1
    return EpisodeLog(
        SPEC, "test", tuple(states), np.zeros((n, 2), np.float32), np.zeros(n, bool), end, straight_route(), 60.0,
        free_flow_s,
    )  # fmt: skip


def cruise(speed_mps: float = 10.0, start_m: float = 0.0, until_m: float = 199.0, y_m: float = 0.0) -> list[Ego]:
    """Egos along y at a constant speed, one a step."""
    xs = np.arange(start_m, until_m, speed_mps * 0.1)
    return [Ego(float(x), y_m, 0.0, speed_mps) for x in xs]
