"""The ways that a layout's lanes lead vehicles: where somebody who is on one of them will go. Pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inland.world.geometry import Floats, Path, make_path, wrapped
from inland.world.layout import LaneKind, Layout, Route
from inland.world.planning import PREDICTION_TIMES_S

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


def road_ahead(layout: Layout, route: Route) -> Floats:
    """The route's path, and on beyond its end to the end of its last lane: others come from there."""
    lane = make_path(layout.lanes[route.lanes[-1]].centre, STEP_M)
    end, _ = lane.project(float(route.path[-1, 0]), float(route.path[-1, 1]))
    rest = lane.points[lane.s_m > end + STEP_M]
    return np.concatenate([route.path, rest]) if len(rest) else np.asarray(route.path, dtype=np.float64)
