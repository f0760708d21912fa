"""The light programme of a town's one junction: a pure function of time, shown to everybody alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inland.world.state import Light
from inland.world.traffic.roads import Link

ARMS = ("n", "e", "s", "w")


@dataclass(frozen=True, slots=True)
class Phase:
    """Which signals (`inland.world.traffic.layout.Signal` ids) are green together, and for how long."""

    opens: frozenset[str]
    green_s: float


@dataclass(frozen=True, slots=True)
class Programme:
    """A cycle of phases, each with amber and all-red after it. ``start_s`` is when the first phase's green begins.

    Walkers may step off during the first ``walk_s`` of the green that runs along their crossing. Where they are
    known to walk on late (``town_cn``), ``late_walk_s`` is how long after that they still do, whatever is shown.
    """

    phases: tuple[Phase, ...]
    start_s: float
    amber_s: float = 3.0
    all_red_s: float = 2.0
    walk_s: float = 3.0
    late_walk_s: float = 0.0

    @property
    def cycle_s(self) -> float:
        """The length of one cycle."""
        return sum(p.green_s + self.amber_s + self.all_red_s for p in self.phases)

    def now(self, t_s: float) -> tuple[Phase, float]:
        """The phase at a time, and how long ago its green began."""
        into = (t_s - self.start_s) % self.cycle_s
        for phase in self.phases:
            length = phase.green_s + self.amber_s + self.all_red_s
            if into < length:
                return phase, into
            into -= length
        return self.phases[-1], into  # only by rounding

    def light(self, signal: str, t_s: float) -> Light:
        """What one signal shows."""
        phase, into = self.now(t_s)
        arm, _, movement = signal.partition("_")
        if movement == "walk":
            along = _beside(arm)
            return Light.GREEN if along in phase.opens and into < self.walk_s else Light.RED
        if signal not in phase.opens:
            return Light.RED
        if into < phase.green_s:
            return Light.GREEN
        return Light.AMBER if into < phase.green_s + self.amber_s else Light.RED

    def lights(self, signals: Sequence[str], t_s: float) -> NDArray[np.uint8]:
        """What all these signals show, as `Light` values."""
        return np.array([self.light(s, t_s) for s in signals], dtype=np.uint8)

    def link_state(self, links: Sequence[Link], t_s: float) -> str:
        """SUMO's state string. A right turn on green gives way; late walkers have a green of their own there."""
        phase, into = self.now(t_s)
        letters = []
        for link in links:
            if link.turn == "walk":
                stepping_off = _beside(link.arm) in phase.opens and into < self.walk_s + self.late_walk_s
                letters.append("G" if stepping_off else "r")
                continue
            light = self.light(f"{link.arm}_{'left' if link.turn == 'l' else 'through'}", t_s)
            green = "g" if link.turn == "r" else "G"
            letters.append({Light.GREEN: green, Light.AMBER: "y"}.get(light, "r"))
        return "".join(letters)


def _beside(arm: str) -> str:
    """The through signal that runs along the crossing of an arm: that of its neighbours."""
    return f"{ARMS[(ARMS.index(arm) + 1) % 4]}_through"


def programme_for(arm: str, turn: str, start_s: float, late_walk_s: float = 0.0, green_s: float = 15.0) -> Programme:
    """A short cycle that serves the ego's movement (``turn`` 'l', 's' or 'r' from ``arm``) in its first phase.

    Short, so that an episode that meets a red light still ends in time: a driver who just misses the first green
    waits about 17 s (straight, right) or 28 s (left). The crossing road's green comes just before the ego's: those
    who walked beside it may still be on the crossing.
    """
    i = ARMS.index(arm)
    own, cross = (arm, ARMS[(i + 2) % 4]), (ARMS[(i + 1) % 4], ARMS[(i + 3) % 4])

    def phase(arms: tuple[str, str], movement: str, green_s: float) -> Phase:
        return Phase(frozenset(f"{a}_{movement}" for a in arms), green_s)

    phases: tuple[Phase, ...]
    if turn == "l":
        phases = (phase(own, "left", green_s - 4), phase(own, "through", 9), phase(cross, "through", 9))
    else:
        phases = (phase(own, "through", green_s), phase(cross, "through", 10))
    return Programme(phases, start_s, late_walk_s=late_walk_s)
