"""A layout's GL objects and how one picture is drawn with them (moderngl). `camera` is the way in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inland.clip import Camera
from inland.world.rendering import shaders
from inland.world.rendering.ground import ASPHALT, GRASS
from inland.world.rendering.instances import COMMAND_WORDS, commands, instances, joined, lit_lamps
from inland.world.rendering.meshes import LAMP_SHAPES, actor_meshes, lamp_outline
from inland.world.rendering.optics import projection, rotation, side_planes, visible
from inland.world.rendering.scene import Groups, Scene
from inland.world.rendering.solids import AMBIENT, SUNLIGHT
from inland.world.state import Ego, WorldState

if TYPE_CHECKING:
    import moderngl

HAZE: tuple[float, float, float] = (0.76, 0.82, 0.88)
HAZE_PER_M = 1 / 420
FAR_MESH_M = 0.19
"""Beyond this, per pixel of focal length, an actor is drawn with few triangles."""
LAMP_MIN_PX = 2.1
FINE_ROWS = 2.2
"""Ground nearer to the horizon than this many rows shows no paint or kerbs, which saves most of their triangles."""
FINE_REACH_M = 0.7
"""Signs farther than this, per pixel of focal length, are hardly a pixel and not drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture, top row first. ``rgb`` uint8 (H, W, 3).

    ``depth_m`` float32 (H, W) along the optical axis, infinite in the sky; ``ids`` uint16 (H, W), an actor's id or
    0; each None where it was not asked for.
    """

    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32] | None = None
    ids: NDArray[np.uint16] | None = None


class Target:
    """One framebuffer that holds several cameras' pictures, so that one read brings them all."""

    def __init__(self, context: moderngl.Context, cameras: Sequence[Camera], *, labels: bool, samples: int) -> None:
        self.cameras = list(cameras)
        self.viewports, size = _packed([(c.width_px, c.height_px) for c in cameras])
        self._labels = labels
        self._context = context
        self._size = size

        def frame_buffer(samples: int) -> moderngl.Framebuffer:
            colours = [context.renderbuffer(size, 4, samples=samples, dtype="f1")]
            if labels:
                colours.append(context.renderbuffer(size, 2, samples=samples, dtype="u4"))
            return context.framebuffer(colours, context.depth_renderbuffer(size, samples=samples))

        self.drawn = frame_buffer(samples)
        self._read = frame_buffer(0) if samples else self.drawn

    def clear(self) -> None:
        """Begin a new picture."""
        self.drawn.viewport = (0, 0, *self._size)
        self.drawn.use()
        self.drawn.clear(*HAZE, 1.0)

    def read(self, ids: bool, depth: bool) -> dict[str, Frame]:
        """Bring the pictures back; each array stands alone or views memory that nothing else writes to."""
        width, height = self._size
        if self._read is not self.drawn:
            self._context.copy_framebuffer(self._read, self.drawn)
        colour = np.frombuffer(self._read.read(components=3, alignment=1), np.uint8).reshape(height, width, 3)
        labels = None
        if self._labels:
            data = self._read.read(components=2, attachment=1, alignment=1, dtype="u4")
            labels = np.frombuffer(data, np.uint32).reshape(height, width, 2)
        frames = {}
        for camera, (x, y, w, h) in zip(self.cameras, self.viewports, strict=True):
            area = (slice(y, y + h), slice(x, x + w))
            depth_m = id_picture = None
            if labels is not None and depth:
                depth_m = np.ascontiguousarray(labels[area][..., 1]).view(np.float32)
            if labels is not None and ids:
                id_picture = labels[area][..., 0].astype(np.uint16)
            frames[camera.name] = Frame(np.ascontiguousarray(colour[area]), depth_m, id_picture)
        return frames

    def release(self) -> None:
        """Free everything."""
        for buffer in {id(b): b for b in (self.drawn, self._read)}.values():
            for attachment in buffer.color_attachments:
                attachment.release()
            buffer.depth_attachment.release()
            buffer.release()


def _packed(sizes: Sequence[tuple[int, int]]) -> tuple[list[tuple[int, int, int, int]], tuple[int, int]]:
    """Place pictures in rows no wider than the widest: (x, y, width, height) of each, and the whole size."""
    limit = max(width for width, _ in sizes)
    places, x, y, row = [], 0, 0, 0
    for width, height in sizes:
        if x + width > limit:
            x, y, row = 0, y + row, 0
        places.append((x, y, width, height))
        x, row = x + width, max(row, height)
    return places, (limit, y + row)


class Drawing:
    """A layout's GL objects: the static scene, uploaded once, and the instances of what moves."""

    def __init__(self, context: moderngl.Context, scene: Scene) -> None:
        self._context = context
        self._scene = scene
        self._owned: list[Any] = []
        # Any: moderngl's types do not tell a uniform from an attribute.
        self._programs: dict[str, Any] = {
            "sky": self._program(shaders.SKY_VERTEX, shaders.SKY_FRAGMENT),
            "ground": self._program(shaders.GROUND_VERTEX, shaders.GROUND_FRAGMENT),
            "solid": self._program(shaders.SOLID_VERTEX, shaders.SOLID_FRAGMENT),
            "actor": self._program(shaders.ACTOR_VERTEX, shaders.ACTOR_FRAGMENT),
            "lamp": self._program(shaders.LAMP_VERTEX, shaders.LAMP_FRAGMENT),
        }
        for name in ("ground", "solid", "actor"):
            self._programs[name]["haze_colour"].value = HAZE
            self._programs[name]["haze_per_m"].value = HAZE_PER_M
        self._programs["actor"]["sun"].value = scene.sun
        self._programs["actor"]["light"].value = (AMBIENT, SUNLIGHT)
        self._programs["ground"]["under"].value = ASPHALT
        ground = ("in_position", "in_sideways", "in_colour")
        self._sky = self._array("sky", _sky(), "3f 3f", "in_position", "in_colour")
        self._plane = self._array("ground", _plane(), "2f 2f 3f", *ground)
        self._ground = _Runs(self, "ground", scene.ground, scene.ground_groups, "2f 2f 3f", *ground)
        self._solids = _Runs(
            self,
            "solid",
            scene.solids,
            scene.solid_groups,
            "3f 3f 3f",
            "in_position",
            "in_colour",
            "in_picture",
            near_first=True,
        )
        layers, height, width, _ = scene.pictures.shape
        self._pictures = context.texture_array((width, height, layers), 3, scene.pictures.tobytes())
        self._pictures.build_mipmaps()
        self._owned.append(self._pictures)

        meshes = actor_meshes()
        sizes = np.array([len(mesh) for mesh in meshes], np.uint32)
        self._mesh_count = sizes
        self._mesh_first = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.uint32)
        self._actors = _Instances(
            self,
            "actor",
            np.concatenate(meshes),
            ("3f 3f 3f 2f", "in_position", "in_normal", "in_colour", "in_finish"),
            ("4f 4f 4f/i", "at_pose", "at_scale", "at_paint"),
        )
        outlines = [lamp_outline(shape) for shape in LAMP_SHAPES]
        self._lamp_count = np.array([len(o) for o in outlines], np.uint32)
        self._lamp_first = np.concatenate([[0], np.cumsum(self._lamp_count)[:-1]]).astype(np.uint32)
        self._lamps = _Instances(
            self,
            "lamp",
            np.concatenate(outlines),
            ("2f", "in_outline"),
            ("4f 4f/i", "at_lamp", "at_light"),
        )
        self._shown = b""
        self._records = np.zeros((0, 12), np.float32)
        self._kinds = np.zeros(0, np.int64)
        self._reach = np.zeros(0, np.float32)

    # Buffers

    def _program(self, vertex: str, fragment: str) -> Any:
        program = self._context.program(vertex_shader=vertex, fragment_shader=fragment)
        self._owned.append(program)
        return program

    def buffer(self, data: NDArray[Any], *, dynamic: bool = False) -> moderngl.Buffer:
        """Upload; an empty array still gets a buffer."""
        made = self._context.buffer(data.tobytes() or bytes(64), dynamic=dynamic)
        self._owned.append(made)
        return made

    def vertex_array(self, program: str, content: list[tuple[Any, ...]]) -> moderngl.VertexArray:
        """A vertex array for one of the programs."""
        made = self._context.vertex_array(self._programs[program], content)
        self._owned.append(made)
        return made

    def _array(self, program: str, data: NDArray[np.float32], layout: str, *names: str) -> moderngl.VertexArray:
        return self.vertex_array(program, [(self.buffer(data), layout, *names)])

    def release(self) -> None:
        """Free everything."""
        for thing in reversed(self._owned):
            thing.release()
        self._owned.clear()

    # One picture

    def update(self, state: WorldState, draw_ego: bool) -> None:
        """Take over a world state: the actors' instances, the lamps that are lit."""
        self._records, self._kinds, self._reach = instances(state.actors, state.ego if draw_ego else None)
        shown = state.signals.tobytes()
        if shown != self._shown:
            self._shown = shown
            self._show(state.signals)

    def _show(self, signals: NDArray[np.uint8]) -> None:
        lit = lit_lamps(self._scene, signals)
        order = np.argsort(lit[:, 8], kind="stable")
        lit = lit[order]
        shape = lit[:, 8].astype(np.int64)
        amount = np.bincount(shape, minlength=len(LAMP_SHAPES))
        self._lamps.fill(
            np.ascontiguousarray(lit[:, :8]),
            commands(self._lamp_count, self._lamp_first, amount),
        )

    def draw(self, target: Target, camera: Camera, viewport: tuple[int, int, int, int], ego: Ego) -> None:
        """Draw what was updated through one camera into its part of the target."""
        cos, sin = math.cos(ego.yaw_rad), math.sin(ego.yaw_rad)
        rig_to_world = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        axes = rig_to_world @ rotation(camera)
        eye = np.array([ego.x_m, ego.y_m, 0.0]) + rig_to_world @ np.array(camera.position_m or (0, 0, 0))
        view = np.eye(4)
        view[:3, :3] = axes.T
        view[:3, 3] = -axes.T @ eye
        matrix = (projection(camera) @ view).T.astype(np.float32).tobytes()
        eye_bytes = eye.astype(np.float32).tobytes()
        for program in self._programs.values():
            program["view_projection"].write(matrix)
        self._programs["sky"]["eye"].write(eye_bytes)
        self._programs["lamp"]["eye"].write(eye_bytes)
        focal = camera.focal_px[0] if camera.focal_px else 1.0
        self._programs["lamp"]["focal_px"].value = (focal, LAMP_MIN_PX)
        self._programs["ground"]["half_size_px"].value = (camera.width_px / 2, camera.height_px / 2)

        target.drawn.viewport = viewport
        context = self._context
        context.front_face = "cw"  # the picture is drawn upside down
        context.enable_only(context.CULL_FACE)
        sides = side_planes(camera, axes)
        # As a painter would: the sky, the flat ground layer over layer, then what stands on it, by depth. The
        # ground hides nothing from a camera above it and needs no depth of its own.
        self._sky.render()
        self._programs["ground"]["offset"].value = (float(eye[0]), float(eye[1]))
        self._plane.render()
        self._programs["ground"]["offset"].value = (0.0, 0.0)
        self._ground.draw(eye, axes, sides, focal * float(eye[2]) / FINE_ROWS)
        context.enable_only(context.DEPTH_TEST | context.CULL_FACE)
        self._draw_actors(eye, axes, sides, focal * FAR_MESH_M)
        self._pictures.use(0)
        self._solids.draw(eye, axes, sides, focal * FINE_REACH_M)
        self._lamps.draw()

    def _draw_actors(
        self, eye: NDArray[np.float64], axes: NDArray[np.float64], sides: NDArray[np.float64], far_m: float
    ) -> None:
        if not len(self._records):
            return
        place = np.zeros((len(self._records), 3))
        place[:, :2] = self._records[:, :2]
        place -= eye
        inside = visible(place, self._reach, axes, sides)
        far = (place[inside, 0] ** 2 + place[inside, 1] ** 2) > far_m**2
        mesh = self._kinds[inside] + 2 * far
        order = np.argsort(mesh, kind="stable")
        amount = np.bincount(mesh, minlength=len(self._mesh_count))
        self._actors.fill(self._records[inside][order], commands(self._mesh_count, self._mesh_first, amount))
        self._actors.draw()


class _Runs:
    """Static triangles of which only the groups in view are drawn, by one indirect call."""

    def __init__(
        self,
        owner: Drawing,
        program: str,
        vertices: NDArray[np.float32],
        groups: Groups,
        layout: str,
        *names: str,
        near_first: bool = False,
    ) -> None:
        self._groups = groups
        self._near_first = near_first
        self._array = owner.vertex_array(program, [(owner.buffer(vertices), layout, *names)])
        self._table = np.zeros((len(groups.first), COMMAND_WORDS), np.uint32)
        self._table[:, 0] = groups.count
        self._table[:, 1] = 1
        self._table[:, 2] = groups.first
        self._commands = owner.buffer(self._table, dynamic=True)

    def draw(
        self,
        eye: NDArray[np.float64],
        axes: NDArray[np.float64],
        sides: NDArray[np.float64],
        fine_reach_m: float,
    ) -> None:
        """Draw the groups in view; fine ones only as near as ``fine_reach_m``."""
        if not len(self._table):
            return
        groups = self._groups
        place = groups.centre_m - eye
        shown = visible(place, groups.radius_m, axes, sides)
        distance2 = (place**2).sum(axis=1)
        shown &= ~groups.fine | (distance2 < (fine_reach_m + groups.radius_m) ** 2)
        inside = np.flatnonzero(shown)
        if self._near_first:
            inside = inside[np.argsort(distance2[inside])]
        chosen = joined(self._table[inside])
        if len(chosen):
            self._commands.write(chosen.tobytes())
            self._array.render_indirect(self._commands, count=len(chosen))


class _Instances:
    """Instanced meshes in one vertex buffer, drawn by one indirect call."""

    def __init__(
        self,
        owner: Drawing,
        program: str,
        vertices: NDArray[np.float32],
        mesh_layout: tuple[str, ...],
        instance_layout: tuple[str, ...],
    ) -> None:
        self._owner = owner
        self._program = program
        self._mesh = (owner.buffer(vertices), *mesh_layout)
        self._layout = instance_layout
        self._room = 0
        self._count = 0
        self._reserve(256)
        self._commands = owner.buffer(np.zeros((64, COMMAND_WORDS), np.uint32), dynamic=True)

    def _reserve(self, rows: int) -> None:
        width = sum(int(part[0]) for part in self._layout[0].split("/")[0].split())
        self._room = rows
        self._buffer = self._owner.buffer(np.zeros((rows, width), np.float32), dynamic=True)
        self._array = self._owner.vertex_array(self._program, [self._mesh, (self._buffer, *self._layout)])

    def fill(self, rows: NDArray[np.float32], chosen: NDArray[np.uint32]) -> None:
        """Give the instances, sorted by mesh, and the draw commands for them."""
        if len(rows) > self._room:
            self._reserve(2 * len(rows))
        self._count = len(chosen)
        if len(chosen):
            self._buffer.write(np.ascontiguousarray(rows, np.float32).tobytes())
            self._commands.write(chosen.tobytes())

    def draw(self) -> None:
        if self._count:
            self._array.render_indirect(self._commands, count=self._count)


def _sky() -> NDArray[np.float32]:
    """A cylinder around the eye, its colour rising from haze to blue: (V, 6)."""
    angle = np.arange(17) * np.pi / 8
    bands = [
        (-1.0, HAZE),
        (0.0, HAZE),
        (14.0, (0.66, 0.77, 0.90)),
        (60.0, (0.45, 0.64, 0.88)),
        (600.0, (0.35, 0.55, 0.85)),
    ]
    rows = []
    for (low, below), (high, above) in pairwise(bands):
        for a, b in pairwise(angle):
            p, q = (np.cos(a) * 100, np.sin(a) * 100), (np.cos(b) * 100, np.sin(b) * 100)
            # Seen from inside: clockwise from outside.
            for (x, y), z, colour in (
                (q, low, below),
                (p, low, below),
                (p, high, above),
                (q, low, below),
                (p, high, above),
                (q, high, above),
            ):
                rows.append((x, y, z, *colour))
    return np.array(rows, np.float32)


def _plane() -> NDArray[np.float32]:
    """The ground out to the horizon, around the eye: (6, 7)."""
    far = 2000.0
    corners = [(-far, -far), (far, -far), (far, far), (-far, -far), (far, far), (-far, far)]
    return np.array([(x, y, 0, 0, *GRASS) for x, y in corners], np.float32)
