"""What is painted, hung and built on a town's roads: plain data that follows from the network and a seed.

Lamps and plates are larger than life, so that they can be read in a picture 256 pixels wide.
"""

from __future__ import annotations

import numpy as np

from inland.world.layout import Lane, LaneKind, Polyline, Signal
from inland.world.roads import Network, between, edge_lanes, extended, offset

ROLLING = (LaneKind.DRIVE, LaneKind.BUS, LaneKind.TWO_WHEEL)
GANTRY_HEIGHT_M = 5.2
FAR_HEAD_M = 27.0


def drivable_areas(network: Network) -> tuple[Polyline, ...]:
    """One strip a road, reaching a little into the junction, and the junction itself."""
    areas: list[Polyline] = []
    for edge in sorted({k.edge for k in network.lanes.values() if not k.junction}):
        lanes = edge_lanes(network.lanes, edge, ROLLING)
        right = extended(offset(lanes[0].centre, -lanes[0].width_m / 2), 1.0)
        left = extended(offset(lanes[-1].centre, lanes[-1].width_m / 2), 1.0)
        areas.append(between(*_paired(left, right)))
    return (*areas, *network.shapes.values())


def _paired(left: Polyline, right: Polyline) -> tuple[Polyline, Polyline]:
    """The same number of points on both sides (neighbouring lanes mostly have it already)."""
    if len(left) == len(right):
        return left, right
    at = np.linspace(0, 1, max(len(left), len(right)))
    both = []
    for line in (left, right):
        share = np.linspace(0, 1, len(line))
        both.append(np.stack([np.interp(at, share, line[:, k]) for k in (0, 1)], axis=1))
    return both[0], both[1]


def signals(network: Network, town: str) -> tuple[Signal, ...]:
    """For each arm: straight on (with right turns), left turns, and the walk across it, in this order.

    Every movement has a head over its stop line, for those who approach, and one across the junction, over the same
    axis, for those who wait.
    """
    made: list[Signal] = []
    for arm in ("n", "e", "s", "w"):
        links = [k for k in network.links if k.arm == arm]
        for name, turns, arrow in (
            ("through", "sr", "" if town == "town_us" else "straight"),
            ("left", "l", "left"),
        ):
            group = [k for k in links if k.turn in turns]
            lanes = [network.lanes[k] for k in dict.fromkeys(k.lane for k in group)]
            via = tuple(v for k in group for v in k.via)
            made.append(
                Signal(f"{arm}_{name}", _stop_line(lanes), _heads(lanes), tuple(k.id for k in lanes), via, arrow)
            )
        crossing = next(k.lane for k in links if k.turn == "walk")
        made.append(_walk_signal(arm, network.crossings[crossing]))
    return tuple(made)


def _stop_line(lanes: list[Lane]) -> Polyline:
    """From the right edge of the rightmost lane to the left edge of the leftmost, half a metre before the end."""
    sides = []
    for lane, left_m in ((lanes[0], -lanes[0].width_m / 2), (lanes[-1], lanes[-1].width_m / 2)):
        end = offset(lane.centre[-2:], left_m)
        back = (end[0] - end[1]) / np.linalg.norm(end[0] - end[1])
        sides.append(end[1] + 0.5 * back)
    return np.array(sides)


def _heads(lanes: list[Lane]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Heads over the axis of the first driving lane: above the stop line, and across the junction."""
    lane = next(k for k in lanes if k.kind != LaneKind.TWO_WHEEL)
    end = lane.centre[-1]
    ahead = (end - lane.centre[-2]) / np.linalg.norm(end - lane.centre[-2])
    yaw = np.arctan2(-ahead[1], -ahead[0])
    return np.array([[*(end + d * ahead), GANTRY_HEIGHT_M, yaw] for d in (1.0, FAR_HEAD_M)])


def _walk_signal(arm: str, crossing: Polyline) -> Signal:
    """A walk signal at both ends of a crossing; its stop line is the crossing's own middle line."""
    half = len(crossing) // 2
    ends = np.array([(crossing[0] + crossing[-1]) / 2, (crossing[half - 1] + crossing[half]) / 2])
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    heads = [
        [*(ends[1] + 0.8 * along), 2.6, np.arctan2(-along[1], -along[0])],
        [*(ends[0] - 0.8 * along), 2.6, np.arctan2(along[1], along[0])],
    ]
    return Signal(f"{arm}_walk", ends, np.array(heads), (), (), "walk")
