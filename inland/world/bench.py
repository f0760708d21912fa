"""How fast the towns run: world steps a second with traffic, camera, encoding and logging, each beside its target.

An expert first drives the episode without pictures; then the same world is run again with the ego placed where it
was, so that only what is named is timed: the simulator, or the simulator with the camera, and so on. Every
measurement has a process of its own. ``steps_per_cpu_s`` counts the process's own seconds: it is what a quiet
machine would give, where others were at work beside the measurement.
"""

from __future__ import annotations

import io
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from inland import spread
from inland.world.towns import EpisodeSpec, episode_spec

if TYPE_CHECKING:
    from inland.world.state import WorldState

TARGET_STEPS_PER_S = 400.0
TARGET_TWO_PROCESSES = 1.8
WANTED_ACTORS = 100
WARM_UP_STEPS = 20
CROWD = 2.0
"""How much denser than the scenario's own the traffic is made."""


@dataclass(frozen=True, slots=True)
class Job:
    """One measurement: which cameras are drawn, whether ids are, and whether all is encoded and logged."""

    spec: EpisodeSpec
    seconds: float
    cameras: tuple[str, ...] = ()
    ids: bool = False
    recorded: bool = False
    crowd: float = 1.0
    walkers: int = 30


@dataclass(frozen=True, slots=True)
class Measured:
    """Steps a second by the clock and by the process's own time; mean number of actors within the horizon."""

    steps_per_s: float
    steps_per_cpu_s: float
    actors: float


def world_bench(seconds: float = 10.0, processes: int = 2) -> dict[str, Any]:
    """Measure the world, ``seconds`` for each line, and say what is wanted beside it.

    The front camera alone is drawn in RGB; the whole rig with instance ids, as the expert needs them. Raises
    WorldError where simulator or camera do not run here.
    """
    specs = {
        "town_us": episode_spec("town_us", "us_oak", "signal_straight", "develop", 0),
        "town_cn": episode_spec("town_cn", "cn_liu", "late_crossing_crowd", "develop", 0),
    }
    front, rig = ("front",), ("front", "left", "right")
    lines: dict[str, Any] = {}
    for town, spec in specs.items():
        plain = Job(spec, seconds, crowd=CROWD)
        # As many more people on foot, or fewer, as make it the number of actors that the target speaks of.
        found = _one(replace(plain, seconds=0.0)).actors
        plain = replace(plain, walkers=max(0, plain.walkers + round(WANTED_ACTORS - found)))
        alone = _one(replace(plain, cameras=front))
        together = list(spread.map(measure, [replace(plain, cameras=front)] * processes, processes=max(processes, 2)))
        lines[town] = {
            "actors": round(alone.actors, 1),
            "simulator": _line(_one(plain)),
            "front_camera": _line(alone, TARGET_STEPS_PER_S),
            "whole_rig": _line(_one(replace(plain, cameras=rig, ids=True))),
            "whole_rig_recorded": _line(_one(replace(plain, cameras=rig, ids=True, recorded=True))),
            "processes": {
                "count": processes,
                "steps_per_s": round(sum(m.steps_per_s for m in together), 1),
                "times_one": round(sum(m.steps_per_s for m in together) / alone.steps_per_s, 2),
                "target_times_one": round(TARGET_TWO_PROCESSES * processes / 2, 2),
            },
        }
    return {"seconds_each": seconds, "cores": len(os.sched_getaffinity(0)), **lines}


def _line(measured: Measured, target: float | None = None) -> dict[str, float]:
    line = {
        "steps_per_s": round(measured.steps_per_s, 1),
        "steps_per_cpu_s": round(measured.steps_per_cpu_s, 1),
    }
    return line if target is None else {**line, "target": target}


def _one(job: Job) -> Measured:
    """Measure in a fresh process. Two are asked for, since one would be this very process."""
    return next(iter(spread.map(measure, [job], processes=2)))


def measure(job: Job) -> Measured:
    """Run the job's world for its seconds (in a simulator process: libsumo holds one world per process)."""
    from inland.world.driving.expert import ExpertDriver
    from inland.world.episode import run_episode
    from inland.world.recorder import Recorder
    from inland.world.rendering.camera import town_camera
    from inland.world.traffic.simulator import Simulator

    driven = run_episode(job.spec, ExpertDriver(), images=False).states
    simulator = Simulator(job.spec)
    density = simulator.scene.density
    simulator.scene = replace(
        simulator.scene,
        density=replace(
            density,
            car_gap_m=density.car_gap_m / job.crowd,
            two_wheel_gap_m=density.two_wheel_gap_m / job.crowd,
            walkers=job.walkers,
            inflow_per_lane_hz=density.inflow_per_lane_hz * job.crowd,
        ),
    )
    camera = town_camera(simulator.layout) if job.cameras else None
    steps = actors = 0
    wall_s = cpu_s = 0.0
    try:
        while not steps or wall_s < job.seconds:
            recorder = Recorder(io.BytesIO(), job.spec, vehicle="bench") if job.recorded else None
            simulator.reset()
            for n, past in enumerate(driven[1:]):
                if n == WARM_UP_STEPS:
                    wall, cpu = time.perf_counter(), time.process_time()
                state = simulator.step(past.ego)
                images = {}
                if camera is not None:
                    frames = camera.render(state, job.cameras, ids=job.ids, depth=False)
                    images = {name: frame.rgb for name, frame in frames.items()}
                if recorder is not None:
                    recorder(_record(state, images))
                if n >= WARM_UP_STEPS:
                    steps += 1
                    actors += len(state.actors)
            if len(driven) - 1 > WARM_UP_STEPS:
                wall_s += time.perf_counter() - wall
                cpu_s += time.process_time() - cpu
            if recorder is not None:
                recorder.close()
    finally:
        simulator.close()
    return Measured(steps / wall_s, steps / cpu_s, actors / steps)


def _record(state: WorldState, images: dict[str, Any]) -> Any:
    """What a step gives the recorder; the controls do not matter here."""
    from inland.world.episode import StepRecord
    from inland.world.state import Command, Control, RouteHint

    return StepRecord(state.t_ns, state, images, Control(0.0, 0.0), True, None, RouteHint(Command.FOLLOW, 60.0), ())
