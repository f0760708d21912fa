"""Build the towns' road networks: ``python -m inland.world.traffic.networks.build [NAME...]``.

Only whoever changes a town runs this. It needs ``netconvert`` on the PATH, from the ``eclipse-sumo`` package 1.28
(large, hence not among our dependencies); the built ``.net.xml`` files are shipped. Each network is one signalised
junction ``J`` with four curved arms; an arm ``a`` has the edges ``a_in`` and ``a_out``. The lanes of an edge, from
the right: a walk, in ``town_cn`` a two-wheel lane, then the driving lanes, the leftmost for left turns only.
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

HERE = Path(__file__).parent
ARMS = ("n", "e", "s", "w")
WALK_WIDTH_M = 2.5


@dataclass(frozen=True)
class Arm:
    """One arm: the direction in which it leaves the junction, its inbound driving lanes, and its bends.

    ``bends`` are (length_m, radius_m) from the junction outwards; a positive radius turns left, 0 is straight.
    """

    direction_deg: float
    lanes_in: int
    bends: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Network:
    """One network: four arms in the order of ARMS, lane widths and the speed limit."""

    arms: tuple[Arm, Arm, Arm, Arm]
    lane_width_m: float
    limit_mps: float
    two_wheel_m: float = 0.0
    corner_m: float = 6.5


NETWORKS = {
    "us_oak": Network(
        (
            Arm(90, 2, ((65, 0), (45, 70), (35, 0), (50, -60), (45, 0))),
            Arm(0, 2, ((70, 0), (50, -75), (110, 0))),
            Arm(-90, 2, ((65, 0), (40, -55), (35, 0), (40, 55), (55, 0))),
            Arm(180, 2, ((75, 0), (55, 80), (100, 0))),
        ),
        3.5,
        13.4,
    ),
    "us_elm": Network(
        (
            Arm(84, 3, ((60, 0), (60, -90), (40, 0), (40, 50), (40, 0))),
            Arm(8, 2, ((65, 0), (40, 60), (120, 0))),
            Arm(-94, 3, ((60, 0), (50, 65), (30, 0), (55, -70), (45, 0))),
            Arm(172, 2, ((70, 0), (45, -60), (110, 0))),
        ),
        3.4,
        11.2,
        corner_m=7.0,
    ),
    "us_ash": Network(
        (
            Arm(98, 2, ((55, 0), (45, 50), (20, 0), (60, -65), (60, 0))),
            Arm(-6, 3, ((60, 0), (60, 85), (110, 0))),
            Arm(-84, 2, ((60, 0), (45, 45), (25, 0), (45, -50), (60, 0))),
            Arm(186, 3, ((60, 0), (50, 70), (120, 0))),
        ),
        3.3,
        13.4,
        corner_m=6.0,
    ),
    "cn_huai": Network(
        (
            Arm(90, 2, ((65, 0), (40, -60), (40, 0), (40, 55), (45, 0))),
            Arm(0, 2, ((70, 0), (50, 75), (110, 0))),
            Arm(-90, 2, ((65, 0), (45, 60), (30, 0), (45, -60), (50, 0))),
            Arm(180, 2, ((70, 0), (50, -75), (110, 0))),
        ),
        3.4,
        11.1,
        two_wheel_m=2.6,
    ),
    "cn_liu": Network(
        (
            Arm(95, 3, ((60, 0), (50, 70), (30, 0), (50, -55), (45, 0))),
            Arm(-5, 2, ((65, 0), (45, -60), (120, 0))),
            Arm(-87, 3, ((60, 0), (45, -50), (30, 0), (50, 65), (50, 0))),
            Arm(176, 2, ((65, 0), (50, 65), (120, 0))),
        ),
        3.3,
        11.1,
        two_wheel_m=2.8,
        corner_m=7.0,
    ),
    "cn_tong": Network(
        (
            Arm(83, 2, ((55, 0), (50, 55), (25, 0), (45, -50), (55, 0))),
            Arm(7, 3, ((60, 0), (50, 70), (120, 0))),
            Arm(-98, 2, ((60, 0), (50, 50), (20, 0), (55, -60), (50, 0))),
            Arm(174, 3, ((60, 0), (55, -75), (115, 0))),
        ),
        3.5,
        11.1,
        two_wheel_m=2.4,
        corner_m=6.0,
    ),
}


def centre_line(arm: Arm, step_m: float = 2.5) -> list[tuple[float, float]]:
    """The arm's centre line from the junction's centre outwards, metres."""
    x = y = 0.0
    yaw = math.radians(arm.direction_deg)
    points = [(x, y)]
    for length_m, radius_m in arm.bends:
        pieces = max(1, round(length_m / step_m)) if radius_m else 1
        for _ in range(pieces):
            turn = length_m / pieces / radius_m if radius_m else 0.0
            x += length_m / pieces * math.cos(yaw + turn / 2)
            y += length_m / pieces * math.sin(yaw + turn / 2)
            yaw += turn
            points.append((x, y))
    return points


def plain_xml(network: Network) -> dict[str, str]:
    """The network as netconvert's plain XML: nodes, edges, connections, by file suffix."""
    nodes = [f'<node id="J" x="0" y="0" type="traffic_light" radius="{network.corner_m}"/>']
    edges: list[str] = []
    for name, arm in zip(ARMS, network.arms, strict=True):
        points = centre_line(arm)
        nodes.append(f'<node id="{name}" x="{points[-1][0]:.2f}" y="{points[-1][1]:.2f}" type="priority"/>')
        for way in ("in", "out"):
            count = arm.lanes_in if way == "in" else 2
            along = points[::-1] if way == "in" else points
            shape = " ".join(f"{x:.2f},{y:.2f}" for x, y in along)
            ends = (name, "J") if way == "in" else ("J", name)
            lanes = [f'<lane index="0" allow="pedestrian" width="{WALK_WIDTH_M}" speed="2"/>']
            if network.two_wheel_m:
                lanes.append(f'<lane index="1" allow="bicycle moped" width="{network.two_wheel_m}"/>')
            first = len(lanes)
            lanes += [
                f'<lane index="{first + i}" disallow="pedestrian bicycle" width="{network.lane_width_m}"/>'
                for i in range(count)
            ]
            edges.append(
                f'<edge id="{name}_{way}" from="{ends[0]}" to="{ends[1]}" numLanes="{len(lanes)}" priority="1"'
                f' speed="{network.limit_mps}" spreadType="right" shape={quoteattr(shape)}>'
                + "".join(lanes)
                + "</edge>"
            )
    return {
        "nod": f"<nodes>{''.join(nodes)}</nodes>",
        "edg": f"<edges>{''.join(edges)}</edges>",
        "con": f"<connections>{''.join(_connections(network))}</connections>",
    }


def _connections(network: Network) -> list[str]:
    first = 2 if network.two_wheel_m else 1
    made: list[str] = []

    def connect(start: str, end: str, a: int, b: int) -> None:
        made.append(f'<connection from="{start}_in" to="{end}_out" fromLane="{a}" toLane="{b}"/>')

    for i, name in enumerate(ARMS):
        # Clockwise from the north: facing the junction, the next arm is on the left, the last on the right.
        left, ahead, right = (ARMS[(i + k) % 4] for k in (1, 2, 3))
        last = first + network.arms[i].lanes_in - 1
        if network.two_wheel_m:
            connect(name, ahead, 1, 1)
        connect(name, right, first, first)
        for lane in range(first, last):  # the leftmost lane turns left, all others go straight
            connect(name, ahead, lane, lane)
        connect(name, left, last, first + 1)
        made.append(f'<crossing node="J" edges="{name}_in {name}_out" width="4" priority="1"/>')
    return made


def build(name: str, netconvert: str) -> Path:
    """Build one network and write ``NAME.net.xml`` beside this file, without comments (they hold paths, times)."""
    target = HERE / f"{name}.net.xml"
    with tempfile.TemporaryDirectory() as folder:
        for suffix, text in plain_xml(NETWORKS[name]).items():
            Path(folder, f"{name}.{suffix}.xml").write_text(text)
        command = [netconvert, "--offset.disable-normalization", "true", "--no-turnarounds", "true"]
        command += ["--junctions.internal-link-detail", "14", "--junctions.corner-detail", "8"]
        command += ["--geometry.min-radius.fix", "false", "--rectangular-lane-cut", "false"]
        command += ["--precision", "2", "--output-file", f"{folder}/out.net.xml"]
        for kind, suffix in (("node", "nod"), ("edge", "edg"), ("connection", "con")):
            command += [f"--{kind}-files", f"{folder}/{name}.{suffix}.xml"]
        subprocess.run(command, check=True)
        text = Path(folder, "out.net.xml").read_text()
    target.write_text(re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL))
    return target


def main() -> None:
    """Build the networks named on the command line, or all."""
    netconvert = shutil.which("netconvert")
    if netconvert is None:
        raise SystemExit("netconvert not found: pip install eclipse-sumo==1.28.* in an environment of its own")
    for name in sys.argv[1:] or NETWORKS:
        print(build(name, netconvert), file=sys.stderr)


if __name__ == "__main__":
    main()
