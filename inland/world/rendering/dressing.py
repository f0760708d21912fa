"""What is hung and built along a town's roads: signals, signs, buildings, trees; plain data from network and seed.

Lamps and plates are larger than life, so that they can be read in a picture 256 pixels wide.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from inland.digest import digest_of
from inland.world.traffic.layout import Block, Lane, LaneKind, Polyline, Sign, Signal
from inland.world.traffic.lights import ARMS
from inland.world.traffic.roads import Network, arc_length, between, cut, edge_lanes, extended, offset

ROLLING = (LaneKind.DRIVE, LaneKind.BUS, LaneKind.TWO_WHEEL)
HEAD_HEIGHT_M = 5.2
FAR_HEAD_M = 27.0
"""From the stop line to the second head, above the far half of the junction: legible from behind the line too."""
MPH_MPS = 0.44704

Colour = tuple[float, float, float]
POLE: Colour = (0.40, 0.42, 0.44)
WALLS: dict[str, tuple[tuple[Colour, ...], tuple[str, ...], tuple[float, float]]] = {
    # Colours of walls, kinds of building, and their lowest and highest.
    "town_us": (
        ((0.72, 0.55, 0.42), (0.80, 0.76, 0.66), (0.62, 0.66, 0.70), (0.85, 0.84, 0.80)),
        ("house", "house", "shop", "building"),
        (5.0, 12.0),
    ),
    "town_cn": (
        ((0.78, 0.74, 0.68), (0.70, 0.66, 0.64), (0.86, 0.80, 0.70), (0.62, 0.68, 0.72)),
        ("tower", "building", "shop", "shop"),
        (10.0, 30.0),
    ),
}
LEAVES: dict[str, Colour] = {
    "us_oak": (0.24, 0.40, 0.16),
    "us_elm": (0.35, 0.46, 0.20),
    "us_ash": (0.52, 0.40, 0.16),
    "cn_huai": (0.22, 0.42, 0.20),
    "cn_liu": (0.42, 0.52, 0.24),
    "cn_tong": (0.30, 0.38, 0.14),
}


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
    for arm in ARMS:
        links = [k for k in network.links if k.arm == arm]
        for name, turns, arrow in (
            ("through", "sr", "" if town == "town_us" else "straight"),
            ("left", "l", "left"),
        ):
            group = [k for k in links if k.turn in turns]
            lanes = [network.lanes[k] for k in dict.fromkeys(k.lane for k in group)]
            via = tuple(v for k in group for v in k.via)
            ids = tuple(k.id for k in lanes)
            made.append(Signal(f"{arm}_{name}", _stop_line(lanes), _heads(lanes), ids, via, arrow))
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


def _heads(lanes: list[Lane]) -> NDArray[np.float64]:
    """Heads over the axis of the first driving lane: above the stop line, and across the junction."""
    lane = next(k for k in lanes if k.kind != LaneKind.TWO_WHEEL)
    end = lane.centre[-1]
    ahead = (end - lane.centre[-2]) / np.linalg.norm(end - lane.centre[-2])
    yaw = np.arctan2(-ahead[1], -ahead[0])
    return np.array([[*(end + d * ahead), HEAD_HEIGHT_M, yaw] for d in (1.0, FAR_HEAD_M)])


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


def signs(network: Network, town: str) -> tuple[Sign, ...]:
    """Plates on the right of every road: in town_us speed plates; in town_cn red rings and blue plates."""
    made: list[Sign] = []
    for arm in ARMS:
        walk_in, walk_out = network.lanes[f"{arm}_in_0"], network.lanes[f"{arm}_out_0"]
        drive = edge_lanes(network.lanes, f"{arm}_in", (LaneKind.DRIVE,))[0]
        if town == "town_us":
            limit = f"us_speed_{round(drive.speed_limit_mps / MPH_MPS / 5) * 5}"
            made += [_plate(limit, walk_in, -75.0, 1.0, 1.25), _plate(limit, walk_out, 30.0, 1.0, 1.25)]
            made += [_plate("warning_curve", walk_out, 50.0, 1.2, 1.1)]
        else:
            limit = f"speed_{round(drive.speed_limit_mps * 3.6 / 10) * 10}"
            made += [_plate(limit, walk_in, -80.0, 1.1, 1.1), _plate(limit, walk_out, 30.0, 1.1, 1.1)]
            made += [_plate("direction_straight_right", walk_in, -50.0, 2.2, 1.5, z_m=4.2)]
            made += [_plate("pedestrian", walk_in, -6.0, 1.1, 1.1), _plate("two_wheel", walk_out, 12.0, 1.0, 1.0)]
            made += [_plate("warning_curve", walk_out, 55.0, 1.2, 1.1)]
    return tuple(made)


def _plate(face: str, walk: Lane, at_m: float, width_m: float, height_m: float, z_m: float = 2.7) -> Sign:
    """A plate on the outer side of a walk, facing those who come; a negative ``at_m`` counts from the end."""
    length = float(arc_length(walk.centre)[-1])
    place = cut(walk.centre, *((at_m, at_m + 1.0) if at_m >= 0 else (length + at_m, length + at_m + 1.0)))
    x, y = offset(place, -walk.width_m / 2 + 0.4)[0]
    back = place[0] - place[-1]
    return Sign(face, float(x), float(y), z_m, math.atan2(back[1], back[0]), width_m, height_m)


def blocks(network: Network, layout: str, town: str) -> tuple[Block, ...]:
    """Buildings and trees along the roads, and the poles of the signals; seeded by the layout's name."""
    rng = random.Random(int(digest_of("dressing", layout)[:8], 16))
    road = np.concatenate([_dense(k.centre) for k in network.lanes.values()])
    made: list[Block] = []
    for arm in ARMS:
        for way in ("in", "out"):
            walk = network.lanes[f"{arm}_{way}_0"]
            made += _buildings(walk, road, town, rng, made)
            made += _trees(walk, road, LEAVES[layout], rng)
        made += _gantry(edge_lanes(network.lanes, f"{arm}_in", (*ROLLING, LaneKind.WALK)))
    return tuple(made)


def _buildings(walk: Lane, road: Polyline, town: str, rng: random.Random, others: list[Block]) -> Iterator[Block]:
    colours, kinds, (low_m, high_m) = WALLS[town]
    length = float(arc_length(walk.centre)[-1])
    at_m = rng.uniform(2.0, 12.0) if walk.edge.endswith("out") else rng.uniform(10.0, 20.0)
    taken = [b for b in others if b.base_m == 0.0 and b.length_m > 6]
    while at_m < length - 14.0:
        wide, deep = rng.uniform(10.0, 22.0), rng.uniform(9.0, 14.0)
        place = cut(walk.centre, at_m, at_m + 2.0)
        away_m = walk.width_m / 2 + rng.uniform(2.5, 6.0) + deep / 2
        x, y = offset(place, -away_m)[0]
        yaw = math.atan2(*(place[-1] - place[0])[::-1])
        reach = math.hypot(wide, deep) / 2
        block = Block(
            rng.choice(kinds),
            float(x),
            float(y),
            yaw,
            wide,
            deep,
            rng.uniform(low_m, high_m),
            0.0,
            rng.choice(colours),
        )
        free = _distance(road, x, y) > reach - 0.5 + walk.width_m and all(
            math.hypot(b.x_m - x, b.y_m - y) > reach + math.hypot(b.length_m, b.width_m) / 2 for b in taken
        )
        if free:
            taken.append(block)
            yield block
        at_m += wide + rng.uniform(3.0, 14.0)


def _trees(walk: Lane, road: Polyline, leaves: Colour, rng: random.Random) -> Iterator[Block]:
    """Trees behind the walk, none near the junction, where they would hide the lights."""
    length = float(arc_length(walk.centre)[-1])
    low, high = (40.0, length - 8.0) if walk.edge.endswith("out") else (8.0, length - 40.0)
    at_m = low + rng.uniform(0.0, 10.0)
    while at_m < high:
        x, y = offset(cut(walk.centre, at_m, at_m + 2.0), -walk.width_m / 2 - 1.3)[0]
        wide = rng.uniform(2.2, 3.4)
        shade = rng.uniform(0.85, 1.15)
        if _distance(road, x, y) > walk.width_m / 2 + 1.0:
            colour = (leaves[0] * shade, leaves[1] * shade, leaves[2] * shade)
            yield Block("tree", float(x), float(y), 0.0, wide, wide, rng.uniform(4.5, 7.5), 0.0, colour)
        at_m += rng.uniform(11.0, 24.0)


def _gantry(lanes: list[Lane]) -> Iterator[Block]:
    """A pole on the right of the stop line and a beam over the approach lanes, which carry the near heads."""
    right = offset(lanes[0].centre[-2:], -lanes[0].width_m / 2 + 0.6)
    left = offset(lanes[-1].centre[-2:], lanes[-1].width_m / 2)
    ahead = (right[1] - right[0]) / np.linalg.norm(right[1] - right[0])
    pole, end = right[1] + 1.3 * ahead, left[1] + 1.3 * ahead
    middle, across = (pole + end) / 2, end - pole
    top_m = HEAD_HEIGHT_M + 1.35
    yield Block("pole", float(pole[0]), float(pole[1]), 0.0, 0.25, 0.25, top_m, 0.0, POLE)
    yaw = math.atan2(across[1], across[0])
    span = float(np.hypot(*across))
    yield Block("pole", float(middle[0]), float(middle[1]), yaw, span, 0.18, 0.18, top_m - 0.1, POLE)


def _dense(points: Polyline) -> Polyline:
    """The polyline with a point at least every 2 m."""
    s = arc_length(points)
    at = np.linspace(0.0, s[-1], int(s[-1] / 2.0) + 2)
    return np.stack([np.interp(at, s, points[:, 0]), np.interp(at, s, points[:, 1])], axis=1)


def _distance(road: Polyline, x: float, y: float) -> float:
    """From a point to the nearest point of any lane's centre line."""
    return float(np.min(np.hypot(road[:, 0] - x, road[:, 1] - y)))
