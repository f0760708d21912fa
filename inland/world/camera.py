"""The towns' camera: a world state as pictures, with depth and instance ids from the same pass (moderngl on EGL).

A camera's axes are the rig's: x along the optical axis, y left, z up. Its rotation (roll, pitch, yaw) turns the
camera's axes into the rig's, yaw first: R = Rz(yaw) Ry(pitch) Rx(roll); a positive pitch looks down.
All towns of one process share one GL context. Open it in the process that draws (after a spawn), in one thread.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inland.clip import Camera, Rig
from inland.errors import WorldError
from inland.world import shaders
from inland.world.layout import Layout
from inland.world.meshes import LAMP_SHAPES, NOMINAL_M, VARIANTS, actor_meshes, lamp_outline
from inland.world.scene import (
    AMBIENT,
    ASPHALT,
    GRASS,
    LAMP_RADIUS_M,
    SUNLIGHT,
    Groups,
    Scene,
    build_scene,
)
from inland.world.state import EGO_SHAPE, Actors, Ego, Kind, Light, WorldState

if TYPE_CHECKING:
    import moderngl

NEAR_M = 0.25
FAR_M = 320.0
HAZE: tuple[float, float, float] = (0.76, 0.82, 0.88)
HAZE_PER_M = 1 / 420
FAR_MESH_M = 30.0
"""Beyond this an actor is drawn with few triangles."""
LAMP_MIN_PX = 1.9
EGO_ID = 0xFFFF
COMMAND_WORDS = 5
"""moderngl strides indirect commands by 20 bytes; without indices the fifth word is unused."""


def pinhole(
    name: str,
    width_px: int,
    height_px: int,
    fov_deg: float,
    position_m: tuple[float, float, float],
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
) -> Camera:
    """An ideal camera with ``fov_deg`` horizontal field of view."""
    focal = width_px / 2 / float(np.tan(np.radians(fov_deg) / 2))
    return Camera(
        name=name,
        width_px=width_px,
        height_px=height_px,
        focal_px=(focal, focal),
        centre_px=(width_px / 2, height_px / 2),
        position_m=position_m,
        rotation_rad=(0.0, float(np.radians(pitch_deg)), float(np.radians(yaw_deg))),
    )


RIG = Rig(
    cameras=(
        pinhole("front", 256, 144, 100.0, (1.6, 0.0, 1.5)),
        pinhole("left", 128, 72, 90.0, (1.9, 0.95, 1.1), 140.0),
        pinhole("right", 128, 72, 90.0, (1.9, -0.95, 1.1), -140.0),
    ),
    wheelbase_m=EGO_SHAPE.wheelbase_m,
    steering="curvature",
)
"""The towns' rig: a wide front camera and two that look back along the sides."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture, top row first. ``rgb`` uint8 (H, W, 3).

    ``depth_m`` float32 (H, W) along the optical axis, infinite in the sky; ``ids`` uint16 (H, W), an actor's id or
    0; each None where it was not asked for.
    """

    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32] | None = None
    ids: NDArray[np.uint16] | None = None


def rotation(camera: Camera) -> NDArray[np.float64]:
    """The (3, 3) rotation from a camera's axes to its rig's."""
    roll, pitch, yaw = camera.rotation_rad or (0.0, 0.0, 0.0)
    cr, sr, cp, sp, cy, sy = (f(a) for a in (roll, pitch, yaw) for f in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    turned: NDArray[np.float64] = about_z @ about_y @ about_x
    return turned


def projection(camera: Camera) -> NDArray[np.float64]:
    """The (4, 4) matrix from camera axes to clip space, with the top row of the picture lowest, as GL reads it."""
    if camera.focal_px is None or camera.centre_px is None:
        raise WorldError(
            f"camera {camera.name!r} has no intrinsics", remedy="give it focal_px and centre_px, or use RIG"
        )
    width, height = camera.width_px, camera.height_px
    fx, fy = camera.focal_px
    cx, cy = camera.centre_px
    depth, offset = (FAR_M + NEAR_M) / (FAR_M - NEAR_M), -2 * FAR_M * NEAR_M / (FAR_M - NEAR_M)
    return np.array(
        [
            [2 * cx / width - 1, -2 * fx / width, 0, 0],
            [2 * cy / height - 1, 0, -2 * fy / height, 0],
            [depth, 0, 0, offset],
            [1, 0, 0, 0],
        ]
    )


def seen(frames: Mapping[str, Frame], threshold_px: int) -> NDArray[np.int32]:
    """Ids of the actors that cover at least ``threshold_px`` pixels in one of the pictures, ascending."""
    found: NDArray[np.int32] = np.zeros(0, np.int32)
    for frame in frames.values():
        if frame.ids is None:
            raise WorldError("these frames have no instance ids", remedy="render(..., ids=True)")
        pixels = np.bincount(frame.ids[frame.ids > 0])
        found = np.union1d(found, np.flatnonzero(pixels >= max(threshold_px, 1))).astype(np.int32)
    return found


_shared: dict[str, Any] = {}


def _context() -> moderngl.Context:
    """This process's GL context, opened at the first call."""
    if "context" not in _shared:
        # One simulator process, one core: Mesa's software rasteriser must not spread over the others.
        os.environ["LP_NUM_THREADS"] = "0"
        os.environ.setdefault("MESA_SHADER_CACHE_DISABLE", "1")
        try:
            import moderngl

            backend: Any = "egl"  # moderngl's types say otherwise
            _shared["context"] = moderngl.create_context(standalone=True, backend=backend)
        except Exception as error:
            raise WorldError(
                f"no OpenGL context opens on EGL: {error}",
                remedy="install libegl1 libgl1 libgl1-mesa-dri (Debian, Ubuntu: apt-get install "
                "--no-install-recommends libegl1 libgl1 libgl1-mesa-dri)",
            ) from error
    context: moderngl.Context = _shared["context"]
    return context


class TownCamera:
    """Draws one layout through one rig. The GL objects are made at the first picture.

    ``samples`` 4 smooths edges, for people; models need it less than they need the speed (three times).
    """

    def __init__(self, layout: Layout, rig: Rig = RIG, *, samples: int = 0) -> None:
        self.layout = layout
        self.rig = rig
        self._samples = samples
        self._cameras = {camera.name: camera for camera in rig.cameras}
        self._gl: _Drawing | None = None
        self._targets: dict[tuple[tuple[str, ...], bool], _Target] = {}

    def render(
        self,
        state: WorldState,
        cameras: Sequence[str] = ("front",),
        *,
        ids: bool = True,
        depth: bool = True,
        draw_ego: bool = False,
    ) -> dict[str, Frame]:
        """Draw ``state`` through ``cameras``; depth and ids come from the same pass as RGB.

        The ego is not in its own pictures unless ``draw_ego``, as id EGO_ID (a view from behind needs it).
        Raises WorldError where no GL context opens or a camera is not the rig's.
        """
        names = tuple(cameras)
        unknown = [name for name in names if name not in self._cameras]
        if unknown:
            raise WorldError(f"the rig has no camera {unknown[0]!r}", place=", ".join(self._cameras))
        with _context() as context:
            if self._gl is None:
                self._gl = _Drawing(context, build_scene(self.layout))
            key = (names, ids or depth)
            if key not in self._targets:
                chosen = [self._cameras[name] for name in names]
                self._targets[key] = _Target(context, chosen, labels=ids or depth, samples=self._samples)
            target = self._targets[key]
            self._gl.update(state, draw_ego)
            target.clear()
            for camera, viewport in zip(target.cameras, target.viewports, strict=True):
                self._gl.draw(target, camera, viewport, state.ego)
            return target.read(ids, depth)

    def seen(self, frames: Mapping[str, Frame], threshold_px: int) -> NDArray[np.int32]:
        """Ids of the actors that cover at least ``threshold_px`` pixels in one of the pictures, ascending."""
        return seen(frames, threshold_px)

    def close(self) -> None:
        """Free what this layout holds on the GL side; a later picture makes it anew."""
        if self._gl is None:
            return
        with _context():
            self._gl.release()
            for target in self._targets.values():
                target.release()
        self._gl = None
        self._targets.clear()


_kept: dict[tuple[str, Rig, int], TownCamera] = {}
CAMERAS_KEPT = 8


def town_camera(layout: Layout, rig: Rig = RIG, *, samples: int = 0) -> TownCamera:
    """This process's camera for a layout, kept from one episode to the next; layouts are told apart by name."""
    key = (layout.name, rig, samples)
    if key not in _kept:
        if len(_kept) >= CAMERAS_KEPT:
            _kept.pop(next(iter(_kept))).close()
        _kept[key] = TownCamera(layout, rig, samples=samples)
    return _kept[key]


class _Target:
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


class _Drawing:
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

    def draw(self, target: _Target, camera: Camera, viewport: tuple[int, int, int, int], ego: Ego) -> None:
        """Draw what was updated through one camera into its part of the target."""
        rig_to_world = np.array(
            [
                [np.cos(ego.yaw_rad), -np.sin(ego.yaw_rad), 0],
                [np.sin(ego.yaw_rad), np.cos(ego.yaw_rad), 0],
                [0, 0, 1],
            ]
        )
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
        context.enable_only(context.DEPTH_TEST | context.CULL_FACE)
        sides = side_planes(camera, axes)
        # What stands up first, so that what it hides costs nothing; then the ground as a painter would, tested
        # against what stands on it but not against itself; the sky where nothing else is.
        self._draw_actors(eye, axes, sides)
        self._pictures.use(0)
        self._solids.draw(eye, axes, sides)
        target.drawn.depth_mask = False
        self._programs["ground"]["offset"].value = (float(eye[0]), float(eye[1]))
        self._plane.render()
        self._programs["ground"]["offset"].value = (0.0, 0.0)
        self._ground.draw(eye, axes, sides)
        self._sky.render()
        target.drawn.depth_mask = True
        self._lamps.draw()

    def _draw_actors(self, eye: NDArray[np.float64], axes: NDArray[np.float64], sides: NDArray[np.float64]) -> None:
        if not len(self._records):
            return
        place = np.zeros((len(self._records), 3))
        place[:, :2] = self._records[:, :2]
        place -= eye
        inside = visible(place, self._reach, axes, sides)
        far = (place[inside, 0] ** 2 + place[inside, 1] ** 2) > FAR_MESH_M**2
        mesh = self._kinds[inside] + 2 * far
        order = np.argsort(mesh, kind="stable")
        amount = np.bincount(mesh, minlength=len(self._mesh_count))
        self._actors.fill(self._records[inside][order], commands(self._mesh_count, self._mesh_first, amount))
        self._actors.draw()


class _Runs:
    """Static triangles of which only the groups in view are drawn, by one indirect call."""

    def __init__(
        self,
        owner: _Drawing,
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

    def draw(self, eye: NDArray[np.float64], axes: NDArray[np.float64], sides: NDArray[np.float64]) -> None:
        if not len(self._table):
            return
        place = self._groups.centre_m - eye
        inside = np.flatnonzero(visible(place, self._groups.radius_m, axes, sides))
        if self._near_first:
            inside = inside[np.argsort((place[inside] ** 2).sum(axis=1))]
        chosen = self._table[inside]
        if len(chosen):
            self._commands.write(chosen.tobytes())
            self._array.render_indirect(self._commands, count=len(chosen))


class _Instances:
    """Instanced meshes in one vertex buffer, drawn by one indirect call."""

    def __init__(
        self,
        owner: _Drawing,
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


# Pure parts


def commands(count: NDArray[np.uint32], first: NDArray[np.uint32], amount: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Indirect draw commands (vertices, instances, first vertex, first instance) for instances sorted by mesh."""
    start = np.concatenate([[0], np.cumsum(amount)[:-1]])
    used = np.flatnonzero(amount)
    table = np.zeros((len(used), COMMAND_WORDS), np.uint32)
    table[:, :4] = np.stack([count[used], amount[used], first[used], start[used]], axis=1)
    return table


def side_planes(camera: Camera, axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inward normals (2, 3), in the world, of the planes through the eye and the picture's left and right edges."""
    focal = camera.focal_px[0] if camera.focal_px else 1.0
    centre = camera.centre_px[0] if camera.centre_px else camera.width_px / 2
    left = np.array([centre, -focal, 0.0])
    right = np.array([camera.width_px - centre, focal, 0.0])
    normals = np.stack([left / np.linalg.norm(left), right / np.linalg.norm(right)])
    turned: NDArray[np.float64] = normals @ axes.T
    return turned


def visible(
    place: NDArray[np.floating[Any]],
    radius: NDArray[np.float32],
    axes: NDArray[np.float64],
    sides: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Which spheres, centred at ``place`` (N, 3) from the eye, may show between the side planes, before FAR_M."""
    ahead = place @ axes[:, 0]
    inside: NDArray[np.bool_] = (
        (ahead > -radius) & (ahead < FAR_M + radius) & (np.min(place @ sides.T, axis=1) > -radius)
    )
    return inside


_CAR_PAINTS = np.array(
    [
        (0.92, 0.92, 0.92),
        (0.16, 0.17, 0.19),
        (0.62, 0.64, 0.66),
        (0.36, 0.38, 0.41),
        (0.70, 0.10, 0.09),
        (0.12, 0.25, 0.55),
        (0.85, 0.78, 0.62),
        (0.10, 0.38, 0.30),
        (0.90, 0.55, 0.12),
        (0.30, 0.55, 0.75),
    ],
    np.float32,
)
_CLOTHES = np.array(
    [
        (0.85, 0.15, 0.15),
        (0.15, 0.35, 0.80),
        (0.95, 0.80, 0.15),
        (0.90, 0.90, 0.88),
        (0.20, 0.55, 0.30),
        (0.55, 0.25, 0.60),
        (0.95, 0.50, 0.15),
        (0.20, 0.70, 0.75),
    ],
    np.float32,
)
_NOMINAL = np.array([NOMINAL_M[kind] for kind in Kind], np.float32)
_LARGE = np.isin(np.arange(len(Kind)), (Kind.CAR, Kind.TRUCK, Kind.BUS))


def instances(
    actors: Actors, ego: Ego | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """Actors as instance records (N, 12), their near meshes (N,), and their reach in metres (N,).

    A record is x, y, cos yaw, sin yaw; scale of length, width, height, braking; red, green, blue, id.
    An ego that is given is appended as a car of its own colour.
    """
    amount = len(actors)
    records = np.empty((amount + (ego is not None), 12), np.float32)
    kind = actors.kind.astype(np.int64)
    paint = actors.paint.astype(np.int64)
    rows = records[:amount]
    rows[:, 0] = actors.x_m
    rows[:, 1] = actors.y_m
    rows[:, 2] = np.cos(actors.yaw_rad)
    rows[:, 3] = np.sin(actors.yaw_rad)
    rows[:, 4:7] = actors.size_m / _NOMINAL[kind]
    rows[:, 7] = actors.braking
    rows[:, 8:11] = np.where(
        _LARGE[kind][:, None], _CAR_PAINTS[paint % len(_CAR_PAINTS)], _CLOTHES[paint % len(_CLOTHES)]
    )
    rows[:, 11] = actors.ids
    reach: NDArray[np.float32] = np.empty(len(records), np.float32)
    reach[:amount] = np.hypot(actors.size_m[:, 0], actors.size_m[:, 1]) / 2 + actors.size_m[:, 2]
    mesh: NDArray[np.int64] = np.empty(len(records), np.int64)
    # The second look is decided by another bit of the paint than the colour.
    mesh[:amount] = kind * VARIANTS + ((paint >> 4) & 1)
    if ego is None:
        return records, mesh, reach
    ahead = EGO_SHAPE.centre_ahead_m
    cos, sin = np.cos(ego.yaw_rad), np.sin(ego.yaw_rad)
    size = np.array([EGO_SHAPE.length_m, EGO_SHAPE.width_m, EGO_SHAPE.height_m]) / _NOMINAL[Kind.CAR]
    braking = float(ego.acceleration_mps2 < -0.5)
    records[amount] = (
        *(ego.x_m + ahead * cos, ego.y_m + ahead * sin, cos, sin),
        *(*size, braking),
        *(0.05, 0.75, 0.85, EGO_ID),
    )
    mesh[amount] = int(Kind.CAR) * VARIANTS
    reach[amount] = EGO_SHAPE.length_m
    return records, mesh, reach


_RED = (1.0, 0.05, 0.02)
_AMBER = (1.0, 0.70, 0.0)
_GREEN = (0.05, 1.0, 0.35)
_LIT: dict[int, tuple[int, ...]] = {
    Light.RED: (0,),
    Light.AMBER: (1,),
    Light.GREEN: (2,),
    Light.RED_AMBER: (0, 1),
    Light.OFF: (),
}


def lit_lamps(scene: Scene, signals: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The lamps that shine: (N, 9) x, y, z, yaw, red, green, blue, radius, index into LAMP_SHAPES."""
    rows = []
    for lamps, signal, shape in zip(scene.lamps, scene.lamp_signal, scene.lamp_shape, strict=True):
        for lamp in _LIT[int(signals[signal])]:
            # People on foot see no amber: their red man stays.
            at = 0 if shape == "walk" and lamp == 1 else lamp
            outline = LAMP_SHAPES.index(shape) if shape in LAMP_SHAPES else 0
            colour = (_RED, _AMBER, _GREEN)[at]
            rows.append((*lamps[at], *colour, LAMP_RADIUS_M, outline))
    return np.array(rows, np.float32).reshape(-1, 9)


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
