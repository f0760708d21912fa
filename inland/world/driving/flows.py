"""The ways that a layout's lanes lead vehicles: where somebody who is on one of them will go. Pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inland.world.driving.planning import PREDICTION_TIMES_S, Others
from inland.world.geometry import Floats, Path, make_path, wrapped
from inland.world.state import Kind
from inland.world.traffic.layout import LaneKind, Layout, Route

STEP_M = 1.0
NEAR_M = 1.4
"""Whoever is this far from a flow's middle, at most, is on it."""


@dataclass(frozen=True, slots=True, eq=False)
class Flows:
    """All flows of a layout, their points stacked: ``points`` (P, 2), ``yaw_rad``, ``s_m`` and ``flow`` (P,)."""

    paths: tuple[Path, ...]
    points: Floats
    yaw_rad: Floats
    s_m: Floats
    flow: NDArray[np.intp]
    bias: Floats
    """A little dearer the more a flow turns: where two begin together, straight on is believed."""


def flows_of(layout: Layout) -> Flows:
    """Every way across the layout: a lane in (where it leads only one way), through the junction, a lane out."""
    paths = []
    for lane in layout.lanes.values():
        if lane.junction or lane.kind == LaneKind.WALK:
            continue
        for first in lane.successors:
            chain = [] if len(lane.successors) > 1 else [lane.centre]
            name: str | None = first
            while name is not None:
                following = layout.lanes[name]
                chain.append(following.centre)
                name = following.successors[0] if following.successors and following.junction else None
            paths.append(make_path(np.concatenate(chain), STEP_M))
    if not paths:
        none = np.zeros(0)
        return Flows((), np.zeros((0, 2)), none, none, np.zeros(0, dtype=np.intp), none)
    return Flows(
        tuple(paths),
        np.concatenate([p.points for p in paths]),
        np.concatenate([p.yaw_rad for p in paths]),
        np.concatenate([p.s_m for p in paths]),
        np.concatenate([np.full(len(p.s_m), i, dtype=np.intp) for i, p in enumerate(paths)]),
        np.concatenate([np.full(len(p.s_m), 0.02 * np.ptp(p.yaw_rad)) for p in paths]),
    )


def follow_flow(
    flows: Flows, x_m: float, y_m: float, yaw_rad: float, speed_mps: float
) -> tuple[Floats, Floats, Floats] | None:
    """Where a vehicle on a flow will be at `PREDICTION_TIMES_S`: x, y, yaw (T,); None where it is on none.

    It keeps its speed and its offset from the flow's middle.
    """
    if not len(flows.paths):
        return None
    apart = np.hypot(flows.points[:, 0] - x_m, flows.points[:, 1] - y_m)
    turned = np.abs(wrapped(flows.yaw_rad - yaw_rad))
    fits = (apart < NEAR_M) & (turned < 0.5)
    if not fits.any():
        return None
    at = int(np.argmin(np.where(fits, apart + 2.0 * turned + flows.bias, np.inf)))
    path, s, yaw = flows.paths[int(flows.flow[at])], float(flows.s_m[at]), float(flows.yaw_rad[at])
    dx, dy = x_m - float(flows.points[at, 0]), y_m - float(flows.points[at, 1])
    s += dx * float(np.cos(yaw)) + dy * float(np.sin(yaw))
    offset = dy * float(np.cos(yaw)) - dx * float(np.sin(yaw))
    px, py, pyaw = path.pose(s + speed_mps * PREDICTION_TIMES_S)
    return px - offset * np.sin(pyaw), py + offset * np.cos(pyaw), pyaw


def keep_to_lanes(
    flows: Flows, others: Others, predicted: tuple[Floats, Floats, Floats], who: NDArray[np.intp]
) -> bool:
    """Predict these others again along the flows that they are on, in place; whether anything changed."""
    changed = False
    for i in who:
        if others.kind[i] == Kind.PEDESTRIAN:
            continue
        speed = float(np.hypot(others.vx[i], others.vy[i]))
        along = follow_flow(flows, float(others.x[i]), float(others.y[i]), float(others.yaw[i]), speed)
        if along is not None:
            for column, row in zip(predicted, along, strict=True):
                column[i] = row
            changed = True
    return changed


def road_of(layout: Layout, route: Route) -> tuple[Floats, float]:
    """The route's path and the road before and after it: points (N, 2), and how much lies before (metres).

    Others come from behind the start and from beyond the end.
    """
    first = make_path(layout.lanes[route.lanes[0]].centre, STEP_M)
    last = make_path(layout.lanes[route.lanes[-1]].centre, STEP_M)
    start, _ = first.project(float(route.path[0, 0]), float(route.path[0, 1]))
    end, _ = last.project(float(route.path[-1, 0]), float(route.path[-1, 1]))
    before = first.points[first.s_m < start - STEP_M]
    after = last.points[last.s_m > end + STEP_M]
    led_in = np.concatenate([before, route.path[:1]])
    return np.concatenate([before, route.path, after]), float(np.hypot(*np.diff(led_in, axis=0).T).sum())
