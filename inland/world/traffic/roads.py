"""A SUMO network file as lanes, junction, crossings and signals: plain geometry, no simulator.

Strips (drivable areas, paint) are closed polygons whose first half runs along one edge and whose second half runs
back along the other, point for point, so that a reader may cut them into quadrilaterals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from inland.errors import BadInput, WorldError
from inland.world.state import Command
from inland.world.traffic.layout import Lane, LaneKind, Layout, Polyline, Route

ROUTE_STEP_M = 1.0
TURN_COMMANDS = {"l": Command.LEFT, "s": Command.STRAIGHT, "r": Command.RIGHT}


@dataclass(frozen=True, slots=True)
class Link:
    """One movement through the junction that its signals control: ``index`` is its place in SUMO's state string.

    ``turn`` is 'l', 's', 'r', or 'walk' for a crossing; ``lane`` is the approach lane, or the crossing; ``via``
    are the junction lanes that it opens.
    """

    index: int
    arm: str
    turn: str
    lane: str
    via: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """What the file says. ``shapes`` are the junctions' outlines, ``walks`` the walking areas at the corners.

    ``scales`` are, by road lane, SUMO's metres per metre along the centre line: in SUMO all lanes of a road have
    one length, whatever the curve.
    """

    lanes: Mapping[str, Lane]
    links: tuple[Link, ...]
    shapes: Mapping[str, Polyline]
    crossings: Mapping[str, Polyline]
    walks: tuple[Polyline, ...]
    scales: Mapping[str, float]


def read_network(path: Path) -> Network:
    """Read a ``.net.xml`` file. Raises BadInput where it is no SUMO network."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise BadInput(
            f"not a SUMO network: {error}",
            place=str(path),
            remedy="rebuild it with inland.world.traffic.networks.build",
        ) from error
    successors, vias = _connections(root)
    lanes: dict[str, Lane] = {}
    crossings: dict[str, Polyline] = {}
    walks: list[Polyline] = []
    arms_crossed: dict[str, str] = {}
    scales: dict[str, float] = {}
    for edge in root.iter("edge"):
        function = edge.get("function", "")
        for element in edge.iter("lane"):
            centre = _points(element.get("shape", ""))
            if function == "crossing":
                crossings[element.get("id", "")] = strip(centre, float(element.get("width", "4")))
                arms_crossed[edge.get("id", "")] = edge.get("crossingEdges", "").split("_")[0]
            elif function == "walkingarea":
                walks.append(centre)
            else:
                lane = _lane(edge, element, centre, successors)
                lanes[lane.id] = lane
                scales[lane.id] = float(element.get("length", "0")) / float(arc_length(centre)[-1])
    shapes = {
        j.get("id", ""): _points(j.get("shape", "")) for j in root.iter("junction") if j.get("type") == "traffic_light"
    }
    links = [
        Link(
            int(c.get("linkIndex", "0")),
            c.get("from", "").removesuffix("_in"),
            c.get("dir", "s").lower(),
            f"{c.get('from')}_{c.get('fromLane')}",
            vias[(c.get("from", ""), c.get("fromLane", ""), c.get("to", ""))],
        )
        if not c.get("from", "").startswith(":")
        else Link(int(c.get("linkIndex", "0")), arms_crossed[c.get("to", "")], "walk", f"{c.get('to')}_0", ())
        for c in root.iter("connection")
        if c.get("tl")
    ]
    return Network(lanes, tuple(sorted(links, key=lambda k: k.index)), shapes, crossings, tuple(walks), scales)


def _points(text: str) -> Polyline:
    return np.array([[float(v) for v in pair.split(",")[:2]] for pair in text.split()], dtype=np.float64)


def _lane(
    edge: ElementTree.Element, element: ElementTree.Element, centre: Polyline, successors: Mapping[str, list[str]]
) -> Lane:
    allowed = set(element.get("allow", "").split())
    if allowed == {"pedestrian"}:
        kind = LaneKind.WALK
    elif allowed and allowed <= {"bicycle", "moped"}:
        kind = LaneKind.TWO_WHEEL
    elif allowed == {"bus"}:
        kind = LaneKind.BUS
    else:
        kind = LaneKind.DRIVE
    edge_id, lane_id, index = edge.get("id", ""), element.get("id", ""), int(element.get("index", "0"))
    internal = edge.get("function") == "internal"
    count = len(edge.findall("lane"))
    return Lane(
        lane_id,
        edge_id,
        index,
        kind,
        centre,
        float(element.get("width", "3.2")),
        float(element.get("speed", "13.9")),
        junction=edge_id[1:].rsplit("_", 1)[0] if internal else "",
        successors=tuple(successors.get(lane_id, ())),
        left_neighbour=f"{edge_id}_{index + 1}" if index + 1 < count else "",
        right_neighbour=f"{edge_id}_{index - 1}" if index > 0 else "",
    )


def _connections(
    root: ElementTree.Element,
) -> tuple[dict[str, list[str]], dict[tuple[str, str, str], tuple[str, ...]]]:
    """Each lane's successors, and the chain of junction lanes of each connection from a road."""
    successors: dict[str, list[str]] = {}
    inner: dict[str, str] = {}
    for c in root.iter("connection"):
        start = f"{c.get('from')}_{c.get('fromLane')}"
        successors.setdefault(start, []).append(c.get("via") or f"{c.get('to')}_{c.get('toLane')}")
        if c.get("from", "").startswith(":") and c.get("via"):
            inner[start] = c.get("via", "")
    vias: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for c in root.iter("connection"):
        via = c.get("via")
        if via and not c.get("from", "").startswith(":"):
            chain = [via]
            while chain[-1] in inner:
                chain.append(inner[chain[-1]])
            vias[(c.get("from", ""), c.get("fromLane", ""), c.get("to", ""))] = tuple(chain)
    return successors, vias


def arc_length(points: Polyline) -> NDArray[np.float64]:
    """Arc length (N,) along a polyline (N, 2), metres."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])


def normals(points: Polyline) -> NDArray[np.float64]:
    """Unit vectors (N, 2) to the left of a polyline at its points."""
    tangent = np.gradient(points, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    return np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)


def offset(points: Polyline, left_m: float) -> Polyline:
    """The polyline moved sideways, positive to the left."""
    return points + left_m * normals(points)


def strip(points: Polyline, width_m: float) -> Polyline:
    """The area ``width_m`` wide around a polyline, as a strip polygon."""
    return np.concatenate([offset(points, width_m / 2), offset(points, -width_m / 2)[::-1]])


def between(left: Polyline, right: Polyline) -> Polyline:
    """The area between two polylines in the same direction with the same number of points."""
    return np.concatenate([left, right[::-1]])


def extended(points: Polyline, by_m: float) -> Polyline:
    """The polyline with both ends moved outwards along its end segments."""
    longer = points.copy()
    for end, inner in ((0, 1), (-1, -2)):
        step = points[end] - points[inner]
        longer[end] = points[end] + by_m * step / max(float(np.hypot(*step)), 1e-9)
    return longer


def cut(points: Polyline, start_m: float, end_m: float) -> Polyline:
    """The part of a polyline between two arc lengths."""
    s = arc_length(points)
    start_m, end_m = max(0.0, start_m), min(float(s[-1]), end_m)
    inside = (s > start_m + 1e-6) & (s < end_m - 1e-6)
    at = np.concatenate([[start_m], s[inside], [end_m]])
    return np.stack([np.interp(at, s, points[:, 0]), np.interp(at, s, points[:, 1])], axis=1)


def edge_lanes(lanes: Mapping[str, Lane], edge: str, kinds: Sequence[LaneKind]) -> list[Lane]:
    """The edge's lanes of these kinds, from the right."""
    return sorted((k for k in lanes.values() if k.edge == edge and k.kind in kinds), key=lambda k: k.index)


def make_route(layout: Layout, lanes: Sequence[str], start_m: float, end_m: float) -> Route:
    """The way along connected ``lanes`` (road lanes; the junction lanes between them are found).

    It starts ``start_m`` after the first lane's beginning and ends ``end_m`` after the last lane's beginning. The
    limit inside the junction is the road's own: how slowly to turn is for the driver to judge. Raises WorldError
    where two lanes are not connected.
    """
    chain = [lanes[0]]
    for following in lanes[1:]:
        chain += _bridge(layout, chain[-1], following)
    pieces, limits, manoeuvres, length = [], [], [], 0.0
    junction_start = 0.0
    for i, lane_id in enumerate(chain):
        lane = layout.lanes[lane_id]
        low = start_m if i == 0 else 0.0
        high = end_m if i == len(chain) - 1 else np.inf
        piece = cut(lane.centre, low, high)
        if lane.junction and not layout.lanes[chain[i - 1]].junction:
            junction_start = length
        piece_m = float(arc_length(piece)[-1])
        length += piece_m
        limit = max(lane.speed_limit_mps, layout.lanes[chain[0]].speed_limit_mps)
        pieces.append(piece)
        limits.append((length, limit))
        if lane.junction and not layout.lanes[chain[i + 1]].junction:
            manoeuvres.append((junction_start, length, int(_turn(layout, chain[0], chain[i + 1]))))
    points = np.concatenate(pieces)
    keep = np.concatenate([[True], np.hypot(*np.diff(points, axis=0).T) > 1e-6])
    points = points[keep]
    s = arc_length(points)
    count = int(np.ceil(s[-1] / ROUTE_STEP_M)) + 1
    at = np.linspace(0.0, s[-1], count)
    path = np.stack([np.interp(at, s, points[:, 0]), np.interp(at, s, points[:, 1])], axis=1)
    ends = np.array([k[0] for k in limits])
    which = np.minimum(np.searchsorted(ends, at), len(limits) - 1)
    return Route(tuple(chain), path, at, np.array([k[1] for k in limits])[which], tuple(manoeuvres))


def _bridge(layout: Layout, start: str, end: str) -> list[str]:
    for first in layout.lanes[start].successors:
        chain = [first]
        while chain[-1] != end and layout.lanes[chain[-1]].junction:
            chain.append(layout.lanes[chain[-1]].successors[0])
        if chain[-1] == end:
            return chain
    raise WorldError(f"lane {start} does not lead to {end}", place=layout.name)


def _turn(layout: Layout, start: str, end: str) -> Command:
    a = np.diff(layout.lanes[start].centre[-2:], axis=0)[0]
    b = np.diff(layout.lanes[end].centre[:2], axis=0)[0]
    turn = np.arctan2(a[0] * b[1] - a[1] * b[0], a @ b)
    return Command.STRAIGHT if abs(turn) < np.pi / 4 else Command.LEFT if turn > 0 else Command.RIGHT


def free_flow_s(route: Route, lateral_mps2: float = 2.0, longitudinal_mps2: float = 1.5) -> float:
    """Seconds for the route at its limits, slower in curves so that the lateral acceleration stays comfortable.

    Curvature is taken over 4 m chords. Starts at the speed that is possible there: a lower bound for any start.
    """
    yaw = np.unwrap(np.arctan2(*np.gradient(route.path, axis=0).T[::-1]))
    smooth = np.convolve(np.pad(yaw, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    curvature = np.abs(np.gradient(smooth, route.s_m))
    speed = np.minimum(route.limit_mps, np.sqrt(lateral_mps2 / np.maximum(curvature, 1e-4)))
    step = np.diff(route.s_m)
    for i in range(len(speed) - 2, -1, -1):
        speed[i] = min(speed[i], np.sqrt(speed[i + 1] ** 2 + 2 * longitudinal_mps2 * step[i]))
    for i in range(1, len(speed)):
        speed[i] = min(speed[i], np.sqrt(speed[i - 1] ** 2 + 2 * longitudinal_mps2 * step[i - 1]))
    return float(np.sum(2 * step / (speed[1:] + speed[:-1])))
