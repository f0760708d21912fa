"""The towns' traffic: one episode at a time, the ego placed from outside, everybody else by SUMO and scripts.

Import only in simulator processes: libsumo holds one simulation per process.
"""

from __future__ import annotations

import math
import random

import numpy as np

from inland.digest import digest_of
from inland.errors import WorldError
from inland.world.state import STEP_NS, Actors, Ego, Kind, WorldState
from inland.world.towns import NETWORKS, EpisodeSpec, load_layout, load_network, network_path
from inland.world.traffic.demand import KINDS, Vehicle, vehicles, walkers
from inland.world.traffic.layout import Layout, Route
from inland.world.traffic.lights import Programme
from inland.world.traffic.manners import BRAKE_MPS2, NEAR_M, Box, ego_box, must_brake
from inland.world.traffic.roads import arc_length, free_flow_s, make_route
from inland.world.traffic.scenarios import SCENARIOS, Scene, Script
from inland.world.traffic.stage import EGO_ID, FRONT_AHEAD_M, Stage, libsumo

HORIZON_M = 130.0
BRAKE_LAMP = 8
"""SUMO's bit for a vehicle's brake lamps."""


class Simulator:
    """One episode's world. ``reset``, then ``step`` ten times a second, then ``close``.

    ``time_limit_s`` is when the episode counts as out of time; ``free_flow_s`` how long its route takes alone.
    Several, one after another, may live in one process; two at once may not.
    """

    def __init__(self, spec: EpisodeSpec) -> None:
        self.spec = spec
        self.layout: Layout = load_layout(spec.layout)
        rng = random.Random(spec.seed)
        self._scenario = SCENARIOS[spec.scenario]
        self.scene: Scene = self._scenario.plan(self.layout, rng)
        self.route: Route = make_route(self.layout, self.scene.lanes, self.scene.start_m, self.scene.end_m)
        self.free_flow_s = free_flow_s(self.route)
        self.time_limit_s = 1.7 * self.free_flow_s + self.scene.wait_s + 20.0
        self._network = load_network(spec.layout)
        self._signal_ids = [s.id for s in self.layout.signals]
        self._open = False

    @property
    def programme(self) -> Programme:
        """The episode's lights."""
        return self.scene.programme

    @property
    def happened(self) -> dict[str, float]:
        """What the script says has happened so far (for tests and pages, never for a driver)."""
        return self._stage.happened

    def reset(self) -> WorldState:
        """Start the episode from its beginning. Raises WorldError where SUMO does not start."""
        self.close()
        rng = random.Random(self.spec.seed ^ 0x5DEECE66)
        command = ["sumo", "-n", str(network_path(self.spec.layout)), "-a", str(NETWORKS / "types.add.xml")]
        command += ["--step-length", "0.1", "--lateral-resolution", "0.4", "--seed", str(self.spec.seed)]
        command += ["--no-step-log", "true", "--no-warnings", "true", "--duration-log.disable", "true"]
        command += ["--time-to-teleport", "-1", "--collision.action", "none", "--max-depart-delay", "0.5"]
        command += ["--xml-validation", "never", "--xml-validation.net", "never"]
        # People who block one another on a crossing squeeze past soon, or they would hold a whole green.
        command += ["--pedestrian.striping.jamtime.crossing", "1", "--pedestrian.striping.jamtime", "20"]
        try:
            libsumo.start(command)
        except libsumo.TraCIException as error:
            raise WorldError(f"SUMO does not start: {error}", place=self.spec.layout) from error
        self._open = True
        self._step = 0
        self._numbers: dict[str, int] = {}
        self._kinds: dict[str, tuple[int, tuple[float, float, float], int]] = {}
        self._link_state = ""
        self._near: list[tuple[str, Box]] = []
        self._braking: set[str] = set()
        ego = self._ego_at_start()
        self._stage = Stage(self.layout, self._network, self.route, rng, ego)
        self._place_everybody(rng)
        self._script: Script = self._scenario.script(self._stage, self.scene)
        # SUMO refuses to let a vehicle depart towards a red that "never" changes, and a state set from outside never
        # does: everybody departs under green, and the programme begins one step later.
        libsumo.trafficlight.setRedYellowGreenState("J", "G" * len(self._network.links))
        self._move_ego(ego)
        next(self._script)
        libsumo.simulationStep()
        return self.step(ego)

    def step(self, ego: Ego) -> WorldState:
        """Put the ego here, let everybody else do 0.1 s, and return the world after it.

        In the state returned the ego is as given; the others saw it there only at the end of their step.
        """
        self._stage.ego = ego
        self._stage.t_s = self._step * STEP_NS / 1e9
        self._move_ego(ego)
        self._stage.moved.clear()
        self._stage.let_walk()
        next(self._script)
        self._keep_off(ego)
        link_state = self.programme.link_state(self._network.links, self._stage.t_s)
        if link_state != self._link_state:
            libsumo.trafficlight.setRedYellowGreenState("J", link_state)
            self._link_state = link_state
        libsumo.simulationStep()
        state = self._state(ego)
        self._step += 1
        return state

    def close(self) -> None:
        """End the episode; safe to call at any time."""
        if self._open:
            libsumo.close()
            self._open = False

    def _ego_at_start(self) -> Ego:
        (x0, y0), (x1, y1) = self.route.path[0], self.route.path[1]
        return Ego(float(x0), float(y0), math.atan2(y1 - y0, x1 - x0), self.scene.speed_mps)

    def _place_everybody(self, rng: random.Random) -> None:
        scene, stage = self.scene, self._stage
        edges = tuple(dict.fromkeys(self.layout.lanes[k].edge for k in scene.lanes))
        first = self.layout.lanes[scene.lanes[0]]
        front_m = min(scene.start_m + FRONT_AHEAD_M, float(arc_length(first.centre)[-1]) - 0.1)
        stage.add(Vehicle(EGO_ID, "ego", edges, first.index, front_m, scene.speed_mps))
        libsumo.vehicle.setSpeedMode(EGO_ID, 0)
        libsumo.vehicle.setLaneChangeMode(EGO_ID, 0)
        for vehicle in vehicles(self.layout, self.route, self.programme, scene.density, scene.clear, rng):
            stage.add(vehicle)
        for walker in walkers(self.layout, self.programme, scene.density, rng):
            stage.add_walker(walker)

    def _keep_off(self, ego: Ego) -> None:
        """Those who would drive into the ego's body brake; they go on when it is out of their way."""
        body = ego_box(ego)
        braking: set[str] = set()
        for name, box in self._near:
            if name not in self._stage.moved and must_brake(box, body):
                libsumo.vehicle.setSpeed(name, max(0.0, box.speed_mps - BRAKE_MPS2 * STEP_NS / 1e9))
                braking.add(name)
        present = {name for name, _ in self._near}
        for name in sorted((self._braking - braking) & present):
            libsumo.vehicle.setSpeed(name, -1)
        self._braking = braking

    @staticmethod
    def _move_ego(ego: Ego) -> None:
        """SUMO wants the front bumper's centre, and degrees clockwise from north."""
        x = ego.x_m + FRONT_AHEAD_M * math.cos(ego.yaw_rad)
        y = ego.y_m + FRONT_AHEAD_M * math.sin(ego.yaw_rad)
        libsumo.vehicle.moveToXY(
            EGO_ID, "", -1, x, y, 90.0 - math.degrees(ego.yaw_rad), keepRoute=2, matchThreshold=8.0
        )

    def _state(self, ego: Ego) -> WorldState:
        rows: list[tuple[float, ...]] = []
        vehicle, person = libsumo.vehicle, libsumo.person
        near2 = HORIZON_M * HORIZON_M
        self._near = []
        for name in vehicle.getIDList():
            if name == EGO_ID:
                continue
            x, y = vehicle.getPosition(name)
            if (x - ego.x_m) ** 2 + (y - ego.y_m) ** 2 > near2:
                continue
            number, kind, size, paint = self._known(name)
            yaw = math.radians(90.0 - vehicle.getAngle(name))
            if name in self._stage.moved:
                speed, brake = self._stage.moved[name]
            else:
                speed, brake = vehicle.getSpeed(name), vehicle.getSignals(name) & BRAKE_LAMP > 0
            x -= size[0] / 2 * math.cos(yaw)
            y -= size[0] / 2 * math.sin(yaw)
            if abs(x - ego.x_m) < NEAR_M and abs(y - ego.y_m) < NEAR_M:
                self._near.append((name, Box(x, y, yaw, size[0], size[1], speed)))
            rows.append(
                (
                    number,
                    kind,
                    x,
                    y,
                    yaw,
                    speed,
                    *size,
                    paint,
                    brake,
                )
            )
        for name in person.getIDList():
            x, y = person.getPosition(name)
            if (x - ego.x_m) ** 2 + (y - ego.y_m) ** 2 > near2:
                continue
            number, kind, size, paint = self._known(name)
            yaw = math.radians(90.0 - person.getAngle(name))
            rows.append((number, kind, x, y, yaw, person.getSpeed(name), *size, paint, 0))
        rows.sort()
        table = np.array(rows, dtype=np.float64).reshape(-1, 11)
        yaw_rad = (table[:, 4] + math.pi) % (2 * math.pi) - math.pi
        actors = Actors(
            ids=table[:, 0].astype(np.int32),
            kind=table[:, 1].astype(np.uint8),
            x_m=table[:, 2].astype(np.float32),
            y_m=table[:, 3].astype(np.float32),
            yaw_rad=yaw_rad.astype(np.float32),
            speed_mps=table[:, 5].astype(np.float32),
            size_m=table[:, 6:9].astype(np.float32),
            paint=table[:, 9].astype(np.uint8),
            braking=table[:, 10] > 0,
        )
        lights = self.programme.lights(self._signal_ids, self._stage.t_s)
        return WorldState(self._step * STEP_NS, ego, actors, lights)

    def _known(self, name: str) -> tuple[int, int, tuple[float, float, float], int]:
        """An actor's number (by order of appearance), kind, size and paint."""
        known = self._kinds.get(name)
        number = self._numbers.get(name)
        if known is None or number is None:
            of = libsumo.person if name.startswith(("p", "crowd")) else libsumo.vehicle
            kind = int(KINDS.get(of.getTypeID(name), Kind.CAR))
            size = (of.getLength(name), of.getWidth(name), of.getHeight(name))
            known = (kind, size, int(digest_of("paint", self.spec.seed, name)[:2], 16))
            number = len(self._numbers) + 1
            self._kinds[name], self._numbers[name] = known, number
        return (number, *known)
