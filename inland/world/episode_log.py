"""What an episode leaves behind: the world's states and what was asked for. Metrics and films read only this."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inland.errors import BadInput
from inland.world.state import STEP_NS, Actors, Ego, WorldState
from inland.world.towns import EpisodeSpec
from inland.world.traffic.layout import Route

ENDS = ("completed", "collision", "blocked", "timeout", "off_route")
FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class EpisodeLog:
    """One finished episode.

    ``states`` are N + 1 states, ``controls`` (N, 2) curvature and acceleration as asked for by whoever was at
    the wheel, ``human_at_wheel`` (N,) whether that was a person (the expert). ``end`` is one of `ENDS`.
    """

    spec: EpisodeSpec
    driver: str
    states: tuple[WorldState, ...]
    controls: NDArray[np.float32]
    human_at_wheel: NDArray[np.bool_]
    end: str
    route: Route
    time_limit_s: float
    free_flow_s: float

    @property
    def duration_s(self) -> float:
        """From the first state to the last."""
        return (self.states[-1].t_ns - self.states[0].t_ns) / 1e9

    @property
    def egos(self) -> NDArray[np.float64]:
        """(N + 1, 6): x, y, yaw, speed, acceleration, curvature."""
        names = [f.name for f in fields(Ego)]
        return np.array([[getattr(s.ego, n) for n in names] for s in self.states], dtype=np.float64)

    def to_bytes(self) -> bytes:
        """The log as a compressed npz in memory; equal logs give equal arrays."""
        counts = np.array([len(s.actors) for s in self.states], dtype=np.int32)
        columns: dict[str, Any] = {
            f"actors_{f.name}": np.concatenate([getattr(s.actors, f.name) for s in self.states]) for f in fields(Actors)
        }
        head = {
            "format": FORMAT,
            "spec": asdict(self.spec),
            "driver": self.driver,
            "end": self.end,
            "time_limit_s": self.time_limit_s,
            "free_flow_s": self.free_flow_s,
            "lanes": self.route.lanes,
            "manoeuvres": self.route.manoeuvres,
            "step_ns": STEP_NS,
        }
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            head=np.frombuffer(json.dumps(head, sort_keys=True).encode(), dtype=np.uint8),
            t_ns=np.array([s.t_ns for s in self.states], dtype=np.int64),
            ego=self.egos,
            signals=np.stack([s.signals for s in self.states]),
            counts=counts,
            controls=self.controls,
            human_at_wheel=self.human_at_wheel,
            path=self.route.path,
            s_m=self.route.s_m,
            limit_mps=self.route.limit_mps,
            **columns,
        )
        return buffer.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> EpisodeLog:
        """The log that `to_bytes` wrote. Raises BadInput for anything else."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as kept:
                columns = {name: kept[name] for name in kept.files}
            head = json.loads(columns["head"].tobytes())
            if head["format"] != FORMAT:
                raise BadInput(f"an episode log of format {head['format']}", remedy="score the episode again")
            ends = np.cumsum(columns["counts"])
            actors = {f.name: np.split(columns[f"actors_{f.name}"], ends[:-1]) for f in fields(Actors)}
            states = tuple(
                WorldState(
                    int(t),
                    Ego(*(float(v) for v in columns["ego"][i])),
                    Actors(**{name: parts[i] for name, parts in actors.items()}),
                    columns["signals"][i],
                )
                for i, t in enumerate(columns["t_ns"])
            )
            route = Route(
                tuple(head["lanes"]),
                columns["path"],
                columns["s_m"],
                columns["limit_mps"],
                tuple((float(a), float(b), int(c)) for a, b, c in head["manoeuvres"]),
            )
            return EpisodeLog(
                EpisodeSpec(**head["spec"]),
                head["driver"],
                states,
                columns["controls"],
                columns["human_at_wheel"],
                head["end"],
                route,
                head["time_limit_s"],
                head["free_flow_s"],
            )
        except (ValueError, KeyError, OSError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
            raise BadInput("not an episode log, or a damaged one", remedy="score the episode again") from error
