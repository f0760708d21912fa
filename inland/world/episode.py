"""One drive through a town: a driver at the wheel, ten decisions a second, everything logged.

The log holds the world's states and what was asked for, and nothing else: metrics read only it. Ends:

- ``completed``: the ego reached the end of its route;
- ``collision``: it touched somebody while moving. It stops where it is and nothing more is driven: no town car
  drives on after a crash, and success is lost. Route completion is what was reached, so that the driving score
  is at most what it would be if it could drive on;
- ``off_route``: it left the route's road by more than `OFF_ROUTE_M`;
- ``blocked``: it stood for `BLOCKED_S` with no red light and nobody before it, or for `STUCK_S` at all;
- ``timeout``: the route's time limit passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from inland.drivers import Driver, Image, Observation
from inland.world.driving.expert import ExpertDriver, Plan, plan_route, style_of
from inland.world.driving.planning import FRONT_M, Others, leaders, near, track
from inland.world.driving.safety import CALM_S, is_calm, would_fail
from inland.world.driving.sight import SEEN_PIXELS, Memory, in_sight
from inland.world.driving.vehicle import STEP_S, step_vehicle
from inland.world.episode_log import EpisodeLog
from inland.world.geometry import touching
from inland.world.rendering.optics import like_video
from inland.world.state import ROUTE_HORIZON_M, Command, Control, Ego, Light, RouteHint, WorldState
from inland.world.towns import EpisodeSpec
from inland.world.traffic.layout import Layout, Route

OFF_ROUTE_M = 5.0
BLOCKED_S = 15.0
STUCK_S = 60.0
FINISH_M = 2.0
"""The route counts as completed this far before its last point."""
AFTERMATH_STEPS = 5
"""How long a log goes on after a collision, so that a film shows it."""
HARD_BRAKE_MPS2 = -3.5
DISAGREE_LATERAL_MPS2 = 1.5
DISAGREE_LONGITUDINAL_MPS2 = 2.5
DISAGREE_STEPS = 3
QUIET_NS = 3_000_000_000
WEAK_BRAKES_END_MPS2 = -4.5
"""A disturbance of the brakes ends where the driver asks for this much: no collision is to come of it."""
"""The same trigger is not given again within this time."""
RIG_SIZES = {"front": (256, 144), "left": (128, 72), "right": (128, 72)}
"""Width and height of the towns' rig (camera.RIG), known here without loading a renderer."""
RIG_CAMERAS = tuple(RIG_SIZES)


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step as the vehicle's recorder sees it, and the true state, which only a truth file may keep.

    ``command`` is what whoever was at the wheel asked for; a disturbed actuator does not change it.
    """

    t_ns: int
    state: WorldState
    images: Mapping[str, Image]
    command: Control
    human_at_wheel: bool
    shadow: Control | None
    route: RouteHint
    triggers: tuple[str, ...]


def route_hint(route: Route, s_m: float) -> RouteHint:
    """What a navigation would say with the front bumper ``FRONT_M`` ahead of arc length ``s_m``."""
    front = s_m + FRONT_M
    for start, end, command in route.manoeuvres:
        # Until the rear axle leaves the junction, the manoeuvre goes on.
        if s_m <= end:
            distance = max(start - front, -ROUTE_HORIZON_M)
            if distance >= ROUTE_HORIZON_M:
                break
            return RouteHint(Command(command), float(distance))
    return RouteHint(Command.FOLLOW, ROUTE_HORIZON_M)


@dataclass(slots=True)
class _Disturbance:
    """Now and then an actuator does something else for a short while, so that recovery is in the data."""

    rng: np.random.Generator
    next_step: int = 0
    until: int = 0
    curvature: float = 0.0
    acceleration: float = 0.0
    weak_until: int = 0
    weakness: float = 1.0
    calm_steps: int = 100

    def braking(self, step: int, asked_mps2: float) -> float:
        """What share of the braking that is asked for the brakes give.

        A driver who always brakes in time never shows what to do when it is nearly too late: so some of the times
        that braking begins, the brakes come late or weak. Real need ends it at once.
        """
        begins = asked_mps2 < -0.6 and self.calm_steps >= 10
        self.calm_steps = 0 if asked_mps2 < -0.6 else self.calm_steps + 1
        if begins and self.rng.random() < 0.6:
            self.weakness = float(self.rng.choice([0.0, 0.4, 0.6]))
            self.weak_until = step + int(self.rng.integers(6, 16 if self.weakness == 0.0 else 30))
        if asked_mps2 <= WEAK_BRAKES_END_MPS2:
            self.weak_until = step
        return self.weakness if step < self.weak_until else 1.0

    def of(self, step: int, ego: Ego) -> tuple[float, float]:
        """Curvature and acceleration to add at this step."""
        if self.next_step == 0:
            self.next_step = int(self.rng.integers(15, 60))
        if step >= self.next_step and ego.speed_mps > 2.0:
            self.until = step + int(self.rng.integers(4, 10))
            self.next_step = self.until + int(self.rng.integers(25, 70))
            # A lateral acceleration of 0.7 to 1.8 m/s2 moves the car 0.1 to 0.7 m and turns it a few degrees.
            sideways = self.rng.uniform(0.7, 1.8) * self.rng.choice([-1.0, 1.0])
            self.curvature = float(np.clip(sideways / max(ego.speed_mps, 3.0) ** 2, -0.06, 0.06))
            self.acceleration = float(self.rng.uniform(-1.0, 0.8))
        return (self.curvature, self.acceleration) if step < self.until else (0.0, 0.0)


@dataclass(slots=True)
class _Triggers:
    """Which events a vehicle would keep a clip for; each at its onset, not again while it goes on."""

    given: dict[str, int]
    disagreed: int = 0

    def of(self, state: WorldState, took_over: bool, command: Control, shadow: Control | None) -> tuple[str, ...]:
        """The triggers of this step."""
        happened = []
        if took_over:
            happened.append("take_over")
        if state.ego.acceleration_mps2 < HARD_BRAKE_MPS2:
            happened.append("hard_brake")
        if shadow is not None:
            sideways = abs(command.curvature_1pm - shadow.curvature_1pm) * state.ego.speed_mps**2
            along = abs(command.acceleration_mps2 - shadow.acceleration_mps2)
            differ = sideways > DISAGREE_LATERAL_MPS2 or along > DISAGREE_LONGITUDINAL_MPS2
            self.disagreed = self.disagreed + 1 if differ else 0
            if self.disagreed >= DISAGREE_STEPS:
                happened.append("disagreement")
        new = tuple(n for n in happened if state.t_ns - self.given.get(n, -QUIET_NS) >= QUIET_NS)
        self.given.update(dict.fromkeys(happened, state.t_ns))
        return new


class _SafetyDriver:
    """An expert who watches, takes over when the next two seconds would go wrong, and hands back when calm."""

    def __init__(self) -> None:
        self.driving = False
        self._calm_steps = 0

    def judge(self, state: WorldState, layout: Layout, plan: Plan, others: Others, asked: Control, s_m: float) -> bool:
        """Whether the safety driver takes over at this very step."""
        fails = would_fail(state, layout, plan, others, asked, s_m) is not None
        if not self.driving:
            self.driving, self._calm_steps = fails, 0
            return fails
        calm = not fails and is_calm(state.ego, plan, s_m)
        self._calm_steps = self._calm_steps + 1 if calm else 0
        if self._calm_steps * STEP_S >= CALM_S:
            self.driving = False
        return False


def run_episode(
    spec: EpisodeSpec,
    driver: Driver,
    *,
    shadow: Driver | None = None,
    safety: bool = False,
    perturb: bool = False,
    observer: Callable[[StepRecord], None] | None = None,
    images: bool | None = None,
) -> EpisodeLog:
    """Drive one episode and return its log.

    ``shadow`` answers too, without the wheel. ``safety`` puts an expert beside the driver who takes over before
    it fails. ``perturb`` disturbs the actuators now and then. ``observer`` is called at every step: the recorder.
    ``images``: None renders what the drivers look at, and the whole rig for an observer; False renders nothing;
    True the whole rig. Raises WorldError where simulator or camera cannot run.
    """
    from inland.world.traffic.simulator import Simulator

    simulator = Simulator(spec)
    try:
        return _drive(simulator, spec, driver, shadow, safety, perturb, observer, images)
    finally:
        simulator.close()


def _drive(
    simulator: Any,
    spec: EpisodeSpec,
    driver: Driver,
    shadow: Driver | None,
    safety: bool,
    perturb: bool,
    observer: Callable[[StepRecord], None] | None,
    images: bool | None,
) -> EpisodeLog:
    state: WorldState = simulator.reset()
    layout: Layout = simulator.layout
    route: Route = simulator.route
    wanted = _cameras(driver, shadow, observer is not None, images)
    camera = _camera(layout) if wanted else None
    expert_drives = isinstance(driver, ExpertDriver)
    expert = driver if isinstance(driver, ExpertDriver) else ExpertDriver()
    driver.reset(spec.seed)
    if not expert_drives:
        expert.reset(spec.seed)
    if shadow is not None:
        shadow.reset(spec.seed)
    watches = expert_drives or safety
    plan = plan_route(layout, route, style_of(spec.seed))
    guard = _SafetyDriver() if safety and not expert_drives else None
    memory, triggers = Memory(), _Triggers({})
    disturbance = _Disturbance(np.random.default_rng([spec.seed, 23])) if perturb else None
    states, controls, human = [state], [], []
    others: Others | None = None
    s_m, _ = plan.path.project(state.ego.x_m, state.ego.y_m)
    standing, idle, crashed = 0, 0, 0
    end = "timeout"

    for step in range(int(simulator.time_limit_s / STEP_S)):
        ego = state.ego
        s_m, offset = plan.path.project(ego.x_m, ego.y_m, s_m)
        hint = route_hint(route, s_m)
        pictures, seen_now = _look(camera, state, wanted, watches)
        observation = Observation(state.t_ns, pictures, ego.speed_mps, hint)
        if watches:
            known = memory.add(state.t_ns, in_sight(state) if seen_now is None else seen_now)
            expert.see(state, layout, route, known)
        asked = driver.drive(observation)
        shadowed = shadow.drive(observation) if shadow is not None else None
        took_over, by_human, command = False, expert_drives, asked
        if guard is not None:
            others = track(state.actors, others)
            took_over = guard.judge(state, layout, plan, others, asked, s_m)
            by_human = guard.driving
            if by_human:
                command = expert.drive(observation)
        if observer is not None:
            signs = triggers.of(state, took_over, command, asked if guard is not None else shadowed)
            told = shadowed if shadow is not None else (asked if guard is not None else None)
            observer(StepRecord(state.t_ns, state, pictures, command, by_human, told, hint, signs))
        controls.append((command.curvature_1pm, command.acceleration_mps2))
        human.append(by_human)

        if crashed:
            ego = Ego(ego.x_m, ego.y_m, ego.yaw_rad, 0.0, 0.0, ego.curvature_1pm)
        else:
            ego = step_vehicle(ego, _disturbed(command, disturbance, step, ego))
        state = simulator.step(ego)
        states.append(state)

        standing = standing + 1 if state.ego.speed_mps < 0.1 else 0
        if crashed:
            crashed += 1
            if crashed > AFTERMATH_STEPS:
                end = "collision"
                break
        elif state.ego.speed_mps > 0.1 and len(touching(state)):
            crashed = 1
        elif s_m >= plan.end_m - FINISH_M:
            end = "completed"
            break
        elif abs(offset) > OFF_ROUTE_M:
            end = "off_route"
            break
        elif standing:
            idle = 0 if step % 10 == 0 and _has_reason_to_wait(state, plan, s_m) else idle + 1
            if idle * STEP_S > BLOCKED_S or standing * STEP_S > STUCK_S:
                end = "blocked"
                break
        else:
            idle = 0
    if crashed:
        end = "collision"
    return EpisodeLog(
        spec=spec,
        driver=driver.name,
        states=tuple(states),
        controls=np.asarray(controls, dtype=np.float32).reshape(-1, 2),
        human_at_wheel=np.asarray(human, dtype=np.bool_),
        end=end,
        route=route,
        time_limit_s=float(simulator.time_limit_s),
        free_flow_s=float(simulator.free_flow_s),
    )


def _cameras(driver: Driver, shadow: Driver | None, observed: bool, images: bool | None) -> tuple[str, ...]:
    """Which cameras must be rendered, in the rig's order."""
    if images is False:
        return ()
    if images or observed:
        return RIG_CAMERAS
    looked_at = set(driver.cameras) | (set(shadow.cameras) if shadow is not None else set())
    return tuple(name for name in RIG_CAMERAS if name in looked_at) + tuple(sorted(looked_at.difference(RIG_CAMERAS)))


def _camera(layout: Layout) -> Any:
    """The process's renderer for this layout."""
    from inland.world.rendering.camera import town_camera

    return town_camera(layout)


def _look(camera: Any, state: WorldState, wanted: tuple[str, ...], watches: bool) -> tuple[dict[str, Image], Any]:
    """Render; return the pictures and who is in them, None where the rig was not rendered as a whole."""
    if camera is None:
        return {}, None
    whole = watches and set(RIG_CAMERAS) <= set(wanted)
    frames = camera.render(state, cameras=wanted, ids=whole, depth=False)
    seen = camera.seen(frames, SEEN_PIXELS) if whole else None
    return {name: like_video(frame.rgb) for name, frame in frames.items()}, seen


def _disturbed(command: Control, disturbance: _Disturbance | None, step: int, ego: Ego) -> Control:
    """What the actuators get."""
    if disturbance is None:
        return command
    curvature, acceleration = disturbance.of(step, ego)
    asked = command.acceleration_mps2
    given = asked * disturbance.braking(step, asked) if asked < 0.0 else asked
    # Who brakes is not pushed aside as well.
    if asked < -1.5:
        curvature, acceleration = 0.0, 0.0
    return Control(command.curvature_1pm + curvature, given + acceleration)


def _has_reason_to_wait(state: WorldState, plan: Plan, s_m: float) -> bool:
    """A red light at the next line, or somebody within 10 m before the front bumper."""
    for line, indices in plan.stops:
        if 0.0 <= line - (s_m + FRONT_M) < 15.0:
            lights = [int(state.signals[i]) for i in indices]
            if Light.GREEN not in lights:
                return True
    around = near(track(state.actors, None), state.ego, reach_m=25.0)
    return any(leader.gap_m < 10.0 for leader in leaders(around, plan.path, s_m, reach_m=15.0, margin_m=0.6))


def run_episodes(
    specs: Iterable[EpisodeSpec], make_driver: Callable[[], Driver], **options: Any
) -> Iterator[EpisodeLog]:
    """Drive episodes one after the other in this process, one thread; ``options`` as in `run_episode`.

    Set OMP_NUM_THREADS=1 before the process imports numpy or torch: two processes with two threads each are many
    times slower than with one.
    """
    driver = make_driver()
    for spec in specs:
        yield run_episode(spec, driver, **options)
