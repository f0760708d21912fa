from __future__ import annotations

import concurrent.futures
import multiprocessing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inland.errors import WorldError
from inland.world.film import film
from inland.world.rendering import camera as camera_module
from inland.world.rendering.camera import EGO_ID, RIG, Frame, TownCamera, seen, town_camera
from inland.world.rendering.ground import dashes, simplified, triangulate
from inland.world.rendering.optics import rotation
from inland.world.state import Actors, Ego, Kind, Light, WorldState
from inland.world.traffic.layout import Anchor, Block, Layout, Marking, Sign, Signal

CAMERAS = ("front", "left", "right")
WHITE = (0.95, 0.95, 0.95)


def square(x0: float, x1: float, y0: float, y1: float) -> np.ndarray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float)


def layout(name: str = "test", **parts: object) -> Layout:
    empty = {
        "lanes": {},
        "signals": (),
        "drivable": (),
        "junctions": {},
        "crossings": {},
        "surface": (square(-50, 150, -8, 8),),
        "markings": (),
        "signs": (),
        "blocks": (),
    }
    return Layout(name=name, town="town_us", anchor=Anchor(40.0, -100.0), **(empty | parts))  # type: ignore[arg-type]


def actors(*rows: tuple[Kind, float, float, float], braking: bool = False, paint: int = 0) -> Actors:
    sizes = {Kind.CAR: (4.6, 1.85, 1.5), Kind.PEDESTRIAN: (0.5, 0.6, 1.75), Kind.SCOOTER: (1.8, 0.7, 1.65)}
    return Actors(
        ids=np.arange(1, len(rows) + 1, dtype=np.int32),
        kind=np.array([r[0] for r in rows], np.uint8),
        x_m=np.array([r[1] for r in rows], np.float32),
        y_m=np.array([r[2] for r in rows], np.float32),
        yaw_rad=np.array([r[3] for r in rows], np.float32),
        speed_mps=np.zeros(len(rows), np.float32),
        size_m=np.array([sizes[r[0]] for r in rows], np.float32).reshape(-1, 3),
        paint=np.full(len(rows), paint, np.uint8),
        braking=np.full(len(rows), braking),
    )


def world(others: Actors | None = None, ego: Ego | None = None, signals: tuple[int, ...] = ()) -> WorldState:
    return WorldState(0, ego or Ego(0, 0, 0, 0), others or actors(), np.array(signals, np.uint8))


def show(place: Layout, state: WorldState, cameras: tuple[str, ...] = ("front",)) -> dict[str, Frame]:
    camera = TownCamera(place)
    try:
        return camera.render(state, cameras)
    finally:
        camera.close()


def test_the_depth_of_flat_ground_follows_from_the_cameras_height() -> None:
    frame = show(layout(), world())["front"]
    assert frame.depth_m is not None
    focal = RIG.cameras[0].focal_px[0]  # type: ignore[index]
    rows = np.arange(80, 144)
    wanted = focal * 1.5 / (rows + 0.5 - 72)
    np.testing.assert_allclose(frame.depth_m[rows, 40], wanted, rtol=2e-3)
    assert np.isinf(frame.depth_m[:70]).all()


@pytest.mark.parametrize("name", CAMERAS)
@settings(max_examples=15, deadline=None)
@given(ahead=st.floats(7, 40), aside=st.floats(-0.6, 0.6), yaw=st.floats(-3, 3), turn=st.floats(-3, 3))
def test_an_actor_is_drawn_where_its_box_projects(
    name: str, ahead: float, aside: float, yaw: float, turn: float
) -> None:
    camera = next(c for c in RIG.cameras if c.name == name)
    ego = Ego(12.0, -7.0, turn, 0)
    to_world = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    axes = to_world @ rotation(camera)
    eye = np.array([ego.x_m, ego.y_m, 0]) + to_world @ np.array(camera.position_m)
    place = eye + axes @ np.array([ahead, aside * ahead, 0])
    others = actors((Kind.CAR, place[0], place[1], yaw))
    frame = town_camera(PLAIN).render(world(others, ego), (name,))[name]
    assert frame.ids is not None
    rows, columns = np.nonzero(frame.ids == 1)

    corners = np.array([(x, y, z) for x in (-2.3, 2.3) for y in (-0.93, 0.93) for z in (0, 1.5)])
    turned = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    seen_from = (corners @ turned.T + [place[0], place[1], 0] - eye) @ axes
    u = camera.centre_px[0] - camera.focal_px[0] * seen_from[:, 1] / seen_from[:, 0]  # type: ignore[index]
    v = camera.centre_px[1] - camera.focal_px[1] * seen_from[:, 2] / seen_from[:, 0]  # type: ignore[index]
    left, right = max(u.min(), 0), min(u.max(), camera.width_px)
    assert columns.min() >= left - 1.5
    assert columns.max() <= right + 1.5
    assert rows.min() >= v.min() - 1.5
    assert rows.max() <= min(v.max(), camera.height_px) + 1.5
    # A car fills its box fairly well, whichever way it stands.
    assert len(rows) > 0.35 * (right - left) * (min(v.max(), camera.height_px) - v.min()) - 8


PLAIN = layout("plain")


def test_depth_on_an_actor_is_its_distance() -> None:
    frame = show(layout(), world(actors((Kind.CAR, 21.6 + 2.3, 0, 0))))["front"]
    assert frame.ids is not None and frame.depth_m is not None  # noqa: PT018
    assert frame.depth_m[frame.ids == 1].min() == pytest.approx(20.0, abs=0.15)


def test_who_is_120_m_away_is_still_in_the_picture() -> None:
    frames = show(layout(), world(actors((Kind.CAR, 120, 3, 1.5), (Kind.PEDESTRIAN, 70, -6, 0))))
    assert list(seen(frames, 2)) == [1, 2]


@pytest.mark.parametrize("lit", [Light.RED, Light.AMBER, Light.GREEN])
@pytest.mark.parametrize("arrow", ["", "left"])
def test_the_colour_of_a_light_can_be_told_from_35_m(lit: Light, arrow: str) -> None:
    head = np.array([[36.6, 0.0, 5.0, np.pi]])
    place = layout(signals=(Signal("s", square(0, 1, 0, 1)[:2], head, (), (), arrow),))
    dark = show(place, world(signals=(Light.OFF,)))["front"].rgb.astype(int)
    frame = show(place, world(signals=(lit,)))["front"].rgb.astype(int)
    changed = np.abs(frame - dark).max(axis=2) > 60
    assert changed.sum() >= 5
    red, green, _ = frame[changed].mean(axis=0)
    wanted = {Light.RED: red > 2 * green, Light.GREEN: green > 2 * red, Light.AMBER: red > 100 and green > 100}
    assert wanted[lit]
    # Red hangs above green, so that position tells it too.
    row = np.nonzero(changed)[0].mean()
    middle = 72 - 107.4 * (5.0 - 1.5) / 35
    assert {Light.RED: row < middle - 1, Light.AMBER: abs(row - middle) < 1.5, Light.GREEN: row > middle + 1}[lit]


def test_a_light_is_not_seen_from_behind() -> None:
    head = np.array([[30.0, 0.0, 5.0, 0.0]])
    place = layout(signals=(Signal("s", square(0, 1, 0, 1)[:2], head, (), ()),))
    red, green = (show(place, world(signals=(s,)))["front"].rgb for s in (Light.RED, Light.GREEN))
    np.testing.assert_array_equal(red, green)


def test_left_and_right_arrows_differ_by_a_mirror() -> None:
    pictures = []
    for arrow in ("left", "right"):
        head = np.array([[16.6, 0.0, 4.0, np.pi]])
        place = layout("arrows" + arrow, signals=(Signal("s", square(0, 1, 0, 1)[:2], head, (), (), arrow),))
        pictures.append(show(place, world(signals=(Light.GREEN,)))["front"].rgb[:, 118:138].astype(int))
    left, right = ((p[:, :, 1] > 200) & (p[:, :, 0] < 100) for p in pictures)
    assert left.sum() > 12
    # The arrow's head is higher than its shaft: more rows where it points.
    tall = [mask.sum(axis=0) for mask in (left, right)]
    centre = [np.average(np.arange(20), weights=t * (t >= t.max() - 1)) for t in tall]
    assert centre[0] < 9.5 < centre[1]


def test_braking_lights_up() -> None:
    calm, hard = (
        show(layout(), world(actors((Kind.CAR, 20, 0, 0), braking=b, paint=1)))["front"].rgb.astype(int)
        for b in (False, True)
    )
    brighter = (hard - calm)[:, :, 0] > 80
    assert brighter.sum() >= 8


def test_a_painted_line_does_not_break_up_in_the_distance() -> None:
    line = Marking("solid", np.array([[-20.0, 1.6], [120.0, 1.6]]), 0.15, WHITE)
    bare, painted = (show(layout(markings=m), world())["front"].rgb.astype(int).sum(axis=2) for m in ((), (line,)))
    lighter = painted - bare > 25
    rows_to_45_m = range(76, 110)
    assert all(lighter[row].any() for row in rows_to_45_m)


def test_paint_and_kerbs_and_pavement_tell_the_road_from_the_rest() -> None:
    zebra = Marking("zebra", square(9, 13, -7, 7), 0.5, WHITE)
    stop = Marking("stop", np.array([[8.0, -7.0], [8.0, 0.0]]), 0.5, WHITE)
    bare, painted = (show(layout(markings=m), world())["front"].rgb.astype(int) for m in ((), (zebra, stop)))
    changed = np.abs(painted - bare).max(axis=2) > 60
    rows = np.nonzero(changed.any(axis=1))[0]
    assert rows.max() == pytest.approx(72 + 107.4 * 1.5 / (7.75 - 1.6), abs=2)
    # A stripe, a gap, a stripe, across the picture.
    across = changed[72 + int(107.4 * 1.5 / 9.4)]
    assert np.count_nonzero(np.diff(across.astype(int))) >= 12
    grass, road = bare[84, 2], show(layout(surface=(square(-50, 150, -60, 60),)), world())["front"].rgb[84, 2]
    assert int(grass[1]) - int(grass[2]) > 30 > abs(int(road[1]) - int(road[2]))


def test_an_ego_is_in_no_picture_of_its_own_rig_but_in_a_film() -> None:
    frames = show(layout(), world(), CAMERAS)
    assert all(f.ids is not None and not f.ids.any() for f in frames.values())
    with_ego = film([world()], PLAIN, size=(160, 90))[0]
    below = with_ego[50:85, 60:100].reshape(-1, 3).astype(int)
    assert (np.ptp(below, axis=1) > 60).sum() > 200
    assert with_ego.shape == (90, 160, 3)
    assert EGO_ID > 60000


def test_who_is_seen_is_who_covers_enough_pixels() -> None:
    others = actors((Kind.CAR, 15, 0, 0), (Kind.PEDESTRIAN, 60, 8, 0), (Kind.SCOOTER, -8, 3, 0), (Kind.CAR, 25, 0, 0))
    frames = show(layout(), world(others), CAMERAS)
    pixels = {i: max(int((f.ids == i).sum()) for f in frames.values()) for i in range(1, 5)}
    for threshold in (1, 8, 40):
        assert list(seen(frames, threshold)) == [i for i in pixels if pixels[i] >= threshold]
    assert 3 in seen(frames, 8)  # behind: only the side cameras have it
    assert 4 not in seen(frames, 40)  # hidden by the first


def test_pictures_are_the_same_whatever_was_drawn_before_and_beside() -> None:
    import moderngl

    state = world(actors((Kind.CAR, 20, 2, 1.0), (Kind.SCOOTER, 9, -3, 0.3)))
    place = layout(blocks=(Block("building", 60, 20, 0.2, 12, 12, 20, 0, (0.6, 0.5, 0.5)),))
    first = show(place, state, CAMERAS)
    one, other = TownCamera(place), TownCamera(layout("other", surface=()))
    foreign = moderngl.create_context(standalone=True, backend="egl")  # type: ignore[arg-type]
    for _ in range(3):
        again = one.render(state, CAMERAS)
        other.render(world(actors((Kind.CAR, 9, 0, 0))), ("front",))
        with foreign:
            foreign.clear(1.0, 0.0, 0.0)
        front = one.render(state, ("front",), ids=False, depth=False)["front"]
        for name in CAMERAS:
            np.testing.assert_array_equal(again[name].rgb, first[name].rgb)
            np.testing.assert_array_equal(again[name].ids, first[name].ids)
        np.testing.assert_array_equal(front.rgb, first["front"].rgb)
    foreign.release()
    one.close()
    np.testing.assert_array_equal(one.render(state, ("left",))["left"].rgb, first["left"].rgb)
    one.close()
    other.close()


def _draw_elsewhere() -> np.ndarray:
    return show(layout(), world(actors((Kind.CAR, 20, 2, 1.0))), CAMERAS)["left"].rgb


def test_a_spawned_process_draws_the_same_pictures() -> None:
    here = _draw_elsewhere()
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        np.testing.assert_array_equal(pool.submit(_draw_elsewhere).result(), here)


def test_a_sign_shows_its_face() -> None:
    def plate(face: str) -> np.ndarray:
        sign = Sign(face, 9.6, 0.0, 1.8, np.pi, 1.0, 1.0)
        return show(layout(face, signs=(sign,)), world())["front"].rgb[58:80, 118:138].astype(int)

    no_entry, direction = plate("no_entry"), plate("direction_left")
    assert (no_entry[:, :, 0] > no_entry[:, :, 2] + 80).sum() > 30
    assert (direction[:, :, 2] > direction[:, :, 0] + 80).sum() > 30
    assert np.abs(plate("speed_30") - plate("speed_50")).sum() > 300


def test_a_camera_that_the_rig_does_not_have_is_named() -> None:
    with pytest.raises(WorldError, match="rear"):
        TownCamera(layout()).render(world(), ("rear",))


def test_a_machine_without_gl_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import moderngl

    def refuse(**_: object) -> None:
        raise ValueError("cannot detect the display")

    monkeypatch.setattr(camera_module, "_shared", {})
    monkeypatch.setattr(moderngl, "create_context", refuse)
    with pytest.raises(WorldError, match="libegl1 libgl1 libgl1-mesa-dri"):
        TownCamera(layout()).render(world())


@settings(max_examples=60, deadline=None)
@given(radii=st.lists(st.floats(1, 30), min_size=3, max_size=40), clockwise=st.booleans())
def test_a_polygon_is_cut_into_triangles_of_its_own_area(radii: list[float], clockwise: bool) -> None:
    angle = np.arange(len(radii)) * 2 * np.pi / len(radii)
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1) * np.array(radii)[:, None] + [100, -40]
    if clockwise:
        points = points[::-1]
    triangles = triangulate(points)
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    areas = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    x, y = points.T
    area = abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2
    assert areas.sum() == pytest.approx(area, rel=1e-6)


@settings(max_examples=50, deadline=None)
@given(steps=st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 5)), min_size=2, max_size=40))
def test_a_simplified_line_stays_beside_the_line(steps: list[tuple[float, float]]) -> None:
    points = np.cumsum(np.array(steps), axis=0)
    fewer = simplified(points, 0.05)
    assert (fewer[0] == points[0]).all()
    assert (fewer[-1] == points[-1]).all()
    for point in points:
        a, b = fewer[:-1], fewer[1:]
        along = np.clip(((point - a) * (b - a)).sum(axis=1) / ((b - a) ** 2).sum(axis=1), 0, 1)
        assert np.linalg.norm(a + along[:, None] * (b - a) - point, axis=1).min() <= 0.05 + 1e-9


def test_dashes_have_their_length_and_gap() -> None:
    pieces = dashes(np.array([[0.0, 0.0], [20.0, 0.0]]), 3.0, 3.0)
    assert [(p[0, 0], p[-1, 0]) for p in pieces] == [(0, 3), (6, 9), (12, 15), (18, 20)]
