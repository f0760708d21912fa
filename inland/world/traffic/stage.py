"""A small handle to the running simulation: what a scenario's script may see and do.

Only simulator processes import this: it loads libsumo, which holds one simulation per process.
"""

from __future__ import annotations

import math
import os
import random

os.environ.setdefault("LIBSUMO_AS_TRACI", "quiet")  # or libsumo prints to standard output at import

import libsumo
import numpy as np

from inland.world.state import EGO_SHAPE, Ego
from inland.world.traffic.demand import TWO_WHEELERS, Vehicle, Walker
from inland.world.traffic.layout import Layout, Route
from inland.world.traffic.roads import Network, arc_length

__all__ = ["EGO_ID", "FRONT_AHEAD_M", "Stage", "libsumo"]

EGO_ID = "ego"
FRONT_AHEAD_M = EGO_SHAPE.length_m - EGO_SHAPE.rear_overhang_m
"""From the ego's rear axle to its front bumper."""
WALK_MPS = 1.6
"""The walkers' type has this as its fastest; each has a factor below 1 of their own."""
EVERYTHING_SAFE = 31
ONLY_WHEN_ASKED = 0b0010_00000000
WITHIN_THE_LANE = 0b1010_00000000
"""SUMO's bits for lane changes: none of its own will (but within the lane), and safe ones on request."""


class Stage:
    """One running episode. ``ego`` and ``t_s`` are as of the last step; ``rng`` belongs to the episode's seed."""

    def __init__(self, layout: Layout, network: Network, route: Route, rng: random.Random, ego: Ego) -> None:
        self.layout = layout
        self._scales = network.scales
        self.route = route
        self.rng = rng
        self.ego = ego
        self.t_s = 0.0
        self._waiting: list[tuple[float, str]] = []
        self.moved: dict[str, tuple[float, bool]] = {}
        """Speed (m/s) and brake lamp of those whom the script itself moves in this step: SUMO does not know them."""
        self.happened: dict[str, float] = {}
        """What the script says has happened: a name and a number (tests and metrics read it, drivers do not)."""

    def add(self, vehicle: Vehicle) -> str:
        """Put a vehicle on the road at its time. Where there is no room it never comes."""
        route = "-".join(vehicle.edges)
        if route not in libsumo.route.getIDList():
            libsumo.route.add(route, vehicle.edges)
        lane = f"{vehicle.edges[0]}_{vehicle.lane}"
        libsumo.vehicle.add(
            vehicle.id,
            route,
            vehicle.type,
            depart=str(vehicle.depart_s) if vehicle.depart_s > self.t_s else "now",
            departLane=str(vehicle.lane),
            departPos=f"{vehicle.at_m * self._scales[lane]:.2f}",
            departSpeed=f"{vehicle.speed_mps:.2f}" if vehicle.speed_mps >= 0.0 else "max",
        )
        # Left to themselves, riders fill the gaps between waiting cars until nobody can move, and cars squeeze
        # past an ego that has stopped, touching it.
        mode = WITHIN_THE_LANE if vehicle.type in TWO_WHEELERS else ONLY_WHEN_ASKED
        libsumo.vehicle.setLaneChangeMode(vehicle.id, mode)
        return vehicle.id

    def add_walker(self, walker: Walker, speed_factor: float = 0.0) -> str:
        """Put a person on a walk now; ``speed_factor`` (of 1.6 m/s) where the script wants one."""
        start, end = (self._scales[f"{edge}_0"] for edge in (walker.edges[0], walker.edges[-1]))
        libsumo.person.add(walker.id, walker.edges[0], walker.at_m * start, typeID="walker")
        libsumo.person.appendWalkingStage(walker.id, walker.edges, walker.to_m * end)
        if speed_factor:
            libsumo.person.setSpeedFactor(walker.id, speed_factor)
        if walker.wait_s > 0.0:
            # Not a waiting stage of SUMO: that stands beside the road and jumps onto the walk at its end.
            libsumo.person.setSpeed(walker.id, 0.0)
            self._waiting.append((self.t_s + walker.wait_s, walker.id))
            self._waiting.sort()
        return walker.id

    def let_walk(self) -> None:
        """Those who have waited long enough set off."""
        while self._waiting and self._waiting[0][0] <= self.t_s:
            _, walker = self._waiting.pop(0)
            libsumo.person.setSpeed(walker, WALK_MPS)

    def present(self, vehicle: str) -> bool:
        """Whether a vehicle is on the road now."""
        return vehicle in libsumo.vehicle.getIDList()

    def hold(self, vehicle: str, speed_mps: float) -> None:
        """Make a vehicle drive at this speed from now on, whatever is ahead."""
        libsumo.vehicle.setSpeedMode(vehicle, 0)
        libsumo.vehicle.setSpeed(vehicle, max(0.0, speed_mps))

    def release(self, vehicle: str) -> None:
        """Let a vehicle decide for itself again."""
        libsumo.vehicle.setSpeedMode(vehicle, EVERYTHING_SAFE)
        libsumo.vehicle.setSpeed(vehicle, -1)

    def put(
        self, vehicle: str, front_s_m: float, left_m: float, lean_rad: float, speed_mps: float, braking: bool
    ) -> None:
        """Place a vehicle's front bumper beside the ego's route, its heading the route's plus ``lean_rad``.

        Exact, where SUMO's own change of lane is not: in a bend its lanes' metres differ, and a vehicle that changes
        lane jumps along the road by up to 2.5 m.
        """
        path, s = self.route.path, self.route.s_m
        i = min(max(int(np.searchsorted(s, front_s_m)) - 1, 0), len(path) - 2)
        step = path[i + 1] - path[i]
        yaw = math.atan2(step[1], step[0])
        x = float(np.interp(front_s_m, s, path[:, 0])) - left_m * math.sin(yaw)
        y = float(np.interp(front_s_m, s, path[:, 1])) + left_m * math.cos(yaw)
        self.moved[vehicle] = (speed_mps, braking)
        libsumo.vehicle.moveToXY(vehicle, "", -1, x, y, 90.0 - math.degrees(yaw + lean_rad), keepRoute=2)

    def ego_front_m(self) -> float:
        """How far along its route the ego's front bumper is."""
        return self._along_route(self.ego.x_m, self.ego.y_m)[0] + FRONT_AHEAD_M

    def speed(self, vehicle: str) -> float:
        """m/s."""
        return float(libsumo.vehicle.getSpeed(vehicle))

    def length(self, vehicle: str) -> float:
        """Metres."""
        return float(libsumo.vehicle.getLength(vehicle))

    def place(self, vehicle: str) -> tuple[str, float, float]:
        """Its lane, how far along (front bumper), and its offset to the left of the lane's centre, metres."""
        lane = libsumo.vehicle.getLaneID(vehicle)
        along = libsumo.vehicle.getLanePosition(vehicle) / self._scales.get(lane, 1.0)
        return lane, along, libsumo.vehicle.getLateralLanePosition(vehicle)

    def ahead(self, vehicle: str) -> tuple[float, float]:
        """From the ego's front bumper to a vehicle's rear bumper along the ego's route: (forward m, left m)."""
        x, y = libsumo.vehicle.getPosition(vehicle)
        yaw = math.radians(90.0 - libsumo.vehicle.getAngle(vehicle))
        length = libsumo.vehicle.getLength(vehicle)
        own, _ = self._along_route(self.ego.x_m, self.ego.y_m)
        other, left = self._along_route(x - length * math.cos(yaw), y - length * math.sin(yaw))
        return other - own - FRONT_AHEAD_M, left

    def _along_route(self, x: float, y: float) -> tuple[float, float]:
        """Arc length of the nearest place on the route, and how far to its left the point lies; metres."""
        path, s = self.route.path, self.route.s_m
        i = int(np.argmin((path[:, 0] - x) ** 2 + (path[:, 1] - y) ** 2))
        i = min(i, len(path) - 2)
        step = path[i + 1] - path[i]
        step = step / np.hypot(*step)
        dx, dy = x - path[i, 0], y - path[i, 1]
        return float(s[i] + dx * step[0] + dy * step[1]), float(step[0] * dy - step[1] * dx)

    def vehicles(self, within_m: float) -> list[str]:
        """Everybody on the road but the ego, no farther from it than this in x and in y, in a fixed order."""
        found = []
        for name in sorted(libsumo.vehicle.getIDList()):
            x, y = libsumo.vehicle.getPosition(name)
            if name != EGO_ID and abs(x - self.ego.x_m) < within_m and abs(y - self.ego.y_m) < within_m:
                found.append(name)
        return found

    def lane_length(self, lane: str) -> float:
        """Metres."""
        return float(arc_length(self.layout.lanes[lane].centre)[-1])
