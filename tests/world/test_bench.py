from __future__ import annotations

from inland import spread
from inland.world.bench import Job, measure
from inland.world.towns import episode_spec


def test_a_measurement_counts_steps_and_actors_of_a_recorded_world() -> None:
    spec = episode_spec("town_us", "us_oak", "signal_straight", "develop", 0)
    jobs = [Job(spec, 0.1, crowd=2.0, walkers=60), Job(spec, 0.1, ("front", "left", "right"), ids=True, recorded=True)]
    crowded, recorded = spread.map(measure, jobs, processes=2)
    assert crowded.steps_per_cpu_s > recorded.steps_per_cpu_s > 10
    assert crowded.actors > 1.2 * recorded.actors > 20
