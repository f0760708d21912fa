"""A small handle to the running simulation: what a scenario's script may see and do.

Only simulator processes import this: it loads libsumo, which holds one simulation per process.
"""

from __future__ import annotations

import math
import os
import random

os.environ.setdefault("LIBSUMO_AS_TRACI", "quiet")  # or libsumo prints to standard output at import

import libsumo

from inland.world.layout import Layout, Route
from inland.world.roads import Network, arc_length
from inland.world.state import EGO_SHAPE, Ego
from inland.world.traffic import TWO_WHEELERS, Vehicle, Walker

__all__ = ["EGO_ID", "FRONT_AHEAD_M", "Stage", "libsumo"]

EGO_ID = "ego"
FRONT_AHEAD_M = EGO_SHAPE.length_m - EGO_SHAPE.rear_overhang_m
"""From the ego's rear axle to its front bumper."""
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
            departSpeed=f"{vehicle.speed_mps:.2f}",
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
        if walker.wait_s:
            libsumo.person.appendWaitingStage(walker.id, walker.wait_s)
        libsumo.person.appendWalkingStage(walker.id, walker.edges, walker.to_m * end)
        if speed_factor:
            libsumo.person.setSpeedFactor(walker.id, speed_factor)
        return walker.id

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

    def slide(self, vehicle: str, left_m: float, speed_mps: float) -> None:
        """Move a vehicle sideways (positive is left), asking nobody."""
        libsumo.vehicle.setLaneChangeMode(vehicle, 0)
        libsumo.vehicle.setMaxSpeedLat(vehicle, speed_mps)
        libsumo.vehicle.changeSublane(vehicle, left_m)

    def speed(self, vehicle: str) -> float:
        """m/s."""
        return float(libsumo.vehicle.getSpeed(vehicle))

    def place(self, vehicle: str) -> tuple[str, float, float]:
        """Its lane, how far along (front bumper), and its offset to the left of the lane's centre, metres."""
        lane = libsumo.vehicle.getLaneID(vehicle)
        along = libsumo.vehicle.getLanePosition(vehicle) / self._scales.get(lane, 1.0)
        return lane, along, libsumo.vehicle.getLateralLanePosition(vehicle)

    def ahead(self, vehicle: str) -> tuple[float, float]:
        """From the ego's front bumper to a vehicle's rear bumper in the ego's own axes: (forward m, left m)."""
        x, y = libsumo.vehicle.getPosition(vehicle)
        yaw = math.radians(90.0 - libsumo.vehicle.getAngle(vehicle))
        length = libsumo.vehicle.getLength(vehicle)
        dx = x - length * math.cos(yaw) - self.ego.x_m
        dy = y - length * math.sin(yaw) - self.ego.y_m
        c, s = math.cos(self.ego.yaw_rad), math.sin(self.ego.yaw_rad)
        return dx * c + dy * s - FRONT_AHEAD_M, -dx * s + dy * c

    def vehicles(self, prefix: str = "") -> list[str]:
        """Everybody on the road but the ego, in a fixed order."""
        return sorted(v for v in libsumo.vehicle.getIDList() if v != EGO_ID and v.startswith(prefix))

    def lane_length(self, lane: str) -> float:
        """Metres."""
        return float(arc_length(self.layout.lanes[lane].centre)[-1])

    def ride_in(self, vehicle: str, lane_index: int, seconds: float) -> None:
        """Ask a vehicle to use another lane of its road for a while; it goes when it is safe."""
        libsumo.vehicle.changeLane(vehicle, lane_index, seconds)
