"""The towns as a ``gymnasium.Env``: the same step as an episode, for whoever brings a driver of their own.

An observation holds the rig's pictures (or none), the speed and the route hint; an action is the curvature and
acceleration asked for. The reward is the route's progress in metres, less 20 at a collision.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from inland.errors import BadInput
from inland.world.driving.vehicle import STEP_S, step_vehicle
from inland.world.episode import FINISH_M, OFF_ROUTE_M, RIG_CAMERAS, RIG_SIZES, route_hint
from inland.world.geometry import make_path, touching
from inland.world.state import (
    ACCELERATION_LIMITS_MPS2,
    MAX_CURVATURE_1PM,
    ROUTE_HORIZON_M,
    Command,
    Control,
    WorldState,
)
from inland.world.towns import TOWNS, EpisodeSpec, episode_spec

Observation = dict[str, NDArray[Any]]
COLLISION_REWARD = -20.0


class InlandEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """One town, its scenarios in turn (or those given), a new episode with each reset.

    Observation: ``speed_mps`` float32 (1,), ``route`` float32 (5,) one-hot `Command` and distance over
    `ROUTE_HORIZON_M`, and uint8 (H, W, 3) for each name in ``cameras``. Action: float32 (2,) in [-1, 1], scaled
    to `MAX_CURVATURE_1PM` and to braking (-8 m/s2) and throttle (3 m/s2). ``info`` names the episode and its end.
    ``reset(seed=n)`` drives the n-th ``collect`` episode of the scenario; ``options`` may name a ``scenario`` and
    ``layout``. Raises BadInput for unknown names and WorldError where the simulator cannot run. SUMO holds one
    simulation per process, so there may be only one open environment in each.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 - gymnasium's own convention

    def __init__(
        self,
        town: str = "town_us",
        *,
        scenarios: tuple[str, ...] = (),
        cameras: tuple[str, ...] = (),
        render_mode: str | None = None,
    ) -> None:
        if town not in TOWNS:
            raise BadInput(f"no town {town!r}", remedy=f"one of: {', '.join(TOWNS)}")
        if unknown := set(cameras) - set(RIG_CAMERAS):
            raise BadInput(f"no camera {sorted(unknown)}", remedy=f"any of: {', '.join(RIG_CAMERAS)}")
        self.town, self.cameras, self.render_mode = TOWNS[town], cameras, render_mode
        self.scenarios = scenarios or self.town.scenarios
        boxes: dict[str, spaces.Space[Any]] = {
            "speed_mps": spaces.Box(0.0, 60.0, (1,), np.float32),
            "route": spaces.Box(-1.0, 1.0, (5,), np.float32),
        }
        for name in cameras:
            width, height = RIG_SIZES[name]
            boxes[name] = spaces.Box(0, 255, (height, width, 3), np.uint8)
        self.observation_space: spaces.Space[Any] = spaces.Dict(boxes)
        self.action_space: spaces.Space[Any] = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._simulator: Any = None
        self._state: WorldState | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; without a seed, one drawn from the environment's own generator."""
        from inland.world.traffic.simulator import Simulator

        super().reset(seed=seed)
        number = int(self.np_random.integers(1 << 30)) if seed is None else seed
        chosen = options or {}
        scenario = chosen.get("scenario", self.scenarios[number % len(self.scenarios)])
        layout = chosen.get("layout", self.town.layouts[(number // 7) % len(self.town.layouts)])
        spec: EpisodeSpec = episode_spec(self.town.name, layout, scenario, "collect", number)
        self.close()
        self._simulator = Simulator(spec)
        self._state = self._simulator.reset()
        self._path = make_path(self._simulator.route.path)
        self._s_m, _ = self._path.project(self._state.ego.x_m, self._state.ego.y_m)
        self._steps = 0
        return self._observe(), {"layout": layout, "scenario": scenario, "n": number}

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Drive 0.1 s."""
        if self._state is None:
            raise BadInput("no episode is running", remedy="call reset() first")
        low, high = ACCELERATION_LIMITS_MPS2
        asked = float(action[1])
        control = Control(float(action[0]) * MAX_CURVATURE_1PM, asked * (high if asked > 0 else -low))
        self._state = self._simulator.step(step_vehicle(self._state.ego, control))
        self._steps += 1
        ego, before = self._state.ego, self._s_m
        self._s_m, offset = self._path.project(ego.x_m, ego.y_m, before)
        end = ""
        if ego.speed_mps > 0.1 and len(touching(self._state)):
            end = "collision"
        elif self._s_m >= self._path.length_m - FINISH_M:
            end = "completed"
        elif abs(offset) > OFF_ROUTE_M:
            end = "off_route"
        late = not end and self._steps * STEP_S >= self._simulator.time_limit_s
        reward = self._s_m - before + (COLLISION_REWARD if end == "collision" else 0.0)
        info = {"end": end or ("timeout" if late else ""), "progress_m": self._s_m}
        return self._observe(), float(reward), bool(end), bool(late), info

    def render(self) -> Any:
        """The front camera's picture, (144, 256, 3) uint8, where ``render_mode`` is "rgb_array"."""
        if self.render_mode != "rgb_array" or self._state is None:
            return None
        return self._pictures(("front",))["front"]

    def close(self) -> None:
        """End the running episode, if any."""
        if self._simulator is not None:
            self._simulator.close()
            self._simulator = None

    def _observe(self) -> Observation:
        assert self._state is not None
        hint = route_hint(self._simulator.route, self._s_m)
        route = np.zeros(5, np.float32)
        route[int(hint.command)] = 1.0
        route[len(Command)] = hint.distance_m / ROUTE_HORIZON_M
        speed = np.array([min(self._state.ego.speed_mps, 60.0)], np.float32)
        return {"speed_mps": speed, "route": route, **self._pictures(self.cameras)}

    def _pictures(self, cameras: tuple[str, ...]) -> Observation:
        if not cameras or self._state is None:
            return {}
        from inland.world.rendering.camera import town_camera

        frames = town_camera(self._simulator.layout).render(self._state, cameras=cameras, ids=False, depth=False)
        return {name: frames[name].rgb for name in cameras}
