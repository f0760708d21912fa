"""What is painted on a town's roads: lines, arrows, crossings and coloured lanes, from the network alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inland.world.traffic.layout import Lane, LaneKind, Marking, Polyline, Signal
from inland.world.traffic.roads import Network, arc_length, cut, edge_lanes, offset, strip

Colour = tuple[float, float, float]
WHITE: Colour = (0.92, 0.92, 0.92)
YELLOW: Colour = (0.93, 0.72, 0.10)
TWO_WHEEL_COLOURS: dict[str, Colour] = {
    "cn_huai": (0.50, 0.24, 0.20),
    "cn_liu": (0.20, 0.42, 0.28),
    "cn_tong": (0.50, 0.24, 0.20),
}
SOLID_BEFORE_STOP_M = 30.0
ARROWS_BEFORE_STOP_M = (14.0, 38.0)
WAITING_AREA_M = (1.0, 9.0)


def markings(network: Network, layout: str, town: str, signals: tuple[Signal, ...]) -> tuple[Marking, ...]:
    """Everything painted: coloured lanes first, then lines."""
    made: list[Marking] = []
    if town == "town_cn":
        made += _two_wheel_paint(network, TWO_WHEEL_COLOURS[layout])
    for edge in sorted({k.edge for k in network.lanes.values() if not k.junction}):
        made += _lines(network, edge, town)
    for signal in signals:
        if signal.arrow == "walk":
            made.append(Marking("zebra", signal.stop_line, 3.6, WHITE))
        else:
            made.append(Marking("stop", signal.stop_line, 0.5, WHITE))
    made += _arrows(network)
    if town == "town_cn":
        made += _waiting_areas(network)
    return tuple(made)


def _two_wheel_paint(network: Network, colour: Colour) -> Iterator[Marking]:
    """The two-wheel lanes near the junction, and their way across it."""
    for lane in network.lanes.values():
        if lane.kind != LaneKind.TWO_WHEEL:
            continue
        length = float(arc_length(lane.centre)[-1])
        if lane.junction:
            centre = lane.centre
        elif lane.edge.endswith("_in"):
            centre = cut(lane.centre, length - 45.0, length)
        else:
            centre = cut(lane.centre, 0.0, 25.0)
        yield Marking("fill", strip(centre, lane.width_m - 0.3), lane.width_m, colour)


def _lines(network: Network, edge: str, town: str) -> Iterator[Marking]:
    """The centre line (drawn with the inbound road), lane lines, and the right-hand edge."""
    inbound = edge.endswith("_in")
    lanes = edge_lanes(network.lanes, edge, (LaneKind.DRIVE, LaneKind.BUS))
    if inbound:
        centre = offset(lanes[-1].centre, lanes[-1].width_m / 2)
        for side_m in (-0.16, 0.16):
            yield Marking("solid", offset(centre, side_m), 0.14, YELLOW)
    for lane in lanes[:-1]:
        line = offset(lane.centre, lane.width_m / 2)
        length = float(arc_length(line)[-1])
        solid_m = SOLID_BEFORE_STOP_M if inbound else 0.0
        yield Marking("dashed", cut(line, 0.0, length - solid_m), 0.15, WHITE)
        if solid_m:
            yield Marking("solid", cut(line, length - solid_m, length), 0.15, WHITE)
    right = offset(lanes[0].centre, -lanes[0].width_m / 2 + (0.25 if town == "town_us" else 0.0))
    yield Marking("solid", right, 0.18 if town == "town_cn" else 0.12, WHITE)


def _arrows(network: Network) -> Iterator[Marking]:
    """Arrows on the approach lanes: one for each way that the lane may go."""
    by_lane: dict[str, set[str]] = {}
    for link in network.links:
        if link.turn != "walk" and network.lanes[link.lane].kind != LaneKind.TWO_WHEEL:
            by_lane.setdefault(link.lane, set()).add(link.turn)
    for lane_id, turns in sorted(by_lane.items()):
        for before_m in ARROWS_BEFORE_STOP_M:
            for turn in sorted(turns):
                yield Marking("arrow", _arrow(network.lanes[lane_id], before_m, turn), 0.9, WHITE)


def _arrow(lane: Lane, before_m: float, turn: str) -> Polyline:
    """5 m along the lane, or bending to the side in its last part."""
    length = float(arc_length(lane.centre)[-1])
    shaft = cut(lane.centre, length - before_m, length - before_m + 5.0)[[0, -1]]
    if turn == "s":
        return shaft
    along = (shaft[1] - shaft[0]) / np.linalg.norm(shaft[1] - shaft[0])
    side = np.array([-along[1], along[0]]) * (1.0 if turn == "l" else -1.0)
    knee = shaft[0] + 2.6 * along
    return np.array([shaft[0], knee, knee + 0.5 * along + 0.4 * side, knee + 0.8 * along + 1.5 * side])


def _waiting_areas(network: Network) -> Iterator[Marking]:
    """Where those who turn left may wait inside the junction."""
    for link in network.links:
        if link.turn == "l":
            lane = network.lanes[link.via[0]]
            yield Marking("waiting", strip(cut(lane.centre, *WAITING_AREA_M), lane.width_m - 0.4), 0.15, WHITE)
