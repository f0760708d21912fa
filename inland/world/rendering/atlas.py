"""Small pictures for what paint alone cannot say: sign faces and house fronts, drawn with numpy.

A face's name is a kind and perhaps a number: ``speed_30``, ``us_speed_30``, ``stop``, ``yield``, ``no_entry``,
``no_turn_left``, ``direction_left``, ``warning``, ``pedestrian``, ``two_wheel``, ``bus``, ``parking``. An unknown
name gets a plain blue plate with an arrow, so that a town may hang up what the camera has not learnt.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIZE = 64
Picture = NDArray[np.float32]
"""(SIZE, SIZE, 3) in 0..1, top row first."""

RED = (0.82, 0.05, 0.07)
BLUE = (0.03, 0.22, 0.68)
WHITE = (0.97, 0.97, 0.97)
BLACK = (0.04, 0.04, 0.04)
YELLOW = (1.0, 0.80, 0.03)
GREEN = (0.0, 0.42, 0.22)

_X, _Y = np.meshgrid((np.arange(SIZE) + 0.5) / SIZE * 2 - 1, 1 - (np.arange(SIZE) + 0.5) / SIZE * 2)

_GLYPHS = {
    "0": "01110 10001 10011 10101 11001 10001 01110",
    "1": "00100 01100 00100 00100 00100 00100 01110",
    "2": "01110 10001 00001 00110 01000 10000 11111",
    "3": "01110 10001 00001 00110 00001 10001 01110",
    "4": "00010 00110 01010 10010 11111 00010 00010",
    "5": "11111 10000 11110 00001 00001 10001 01110",
    "6": "01110 10000 11110 10001 10001 10001 01110",
    "7": "11111 00001 00010 00100 01000 01000 01000",
    "8": "01110 10001 10001 01110 10001 10001 01110",
    "9": "01110 10001 10001 01111 00001 00001 01110",
    "S": "01111 10000 10000 01110 00001 00001 11110",
    "T": "11111 00100 00100 00100 00100 00100 00100",
    "O": "01110 10001 10001 10001 10001 10001 01110",
    "P": "11110 10001 10001 11110 10000 10000 10000",
    "B": "11110 10001 10001 11110 10001 10001 11110",
    "U": "10001 10001 10001 10001 10001 10001 01110",
}


def _plain(colour: tuple[float, float, float]) -> Picture:
    return np.tile(np.array(colour, np.float32), (SIZE, SIZE, 1))


def _paint(picture: Picture, where: NDArray[np.bool_], colour: tuple[float, float, float]) -> None:
    picture[where] = colour


def _box(x0: float, x1: float, y0: float, y1: float) -> NDArray[np.bool_]:
    where: NDArray[np.bool_] = (x0 <= _X) & (x1 >= _X) & (y0 <= _Y) & (y1 >= _Y)
    return where


def _write(picture: Picture, text: str, colour: tuple[float, float, float], width: float, height: float) -> None:
    """Letters side by side, centred, together ``width`` x ``height`` in a face that is 2 x 2."""
    columns = 6 * len(text) - 1
    cell_x, cell_y = width / columns, height / 7
    for at, letter in enumerate(text):
        for row, line in enumerate(_GLYPHS[letter].split()):
            for column, bit in enumerate(line):
                if bit == "1":
                    x = -width / 2 + (at * 6 + column) * cell_x
                    y = height / 2 - row * cell_y
                    _paint(picture, _box(x, x + cell_x, y - cell_y, y), colour)


def _arrow(picture: Picture, colour: tuple[float, float, float], turn: str) -> None:
    """A fat arrow pointing up, left or right."""
    x, y = {"left": (_Y, -_X), "right": (-_Y, _X)}.get(turn, (_X, _Y))
    head = (y > 0.05) & (y < 0.75) & (np.abs(x) < (0.75 - y) * 0.85)
    shaft = (y > -0.7) & (y <= 0.1) & (np.abs(x) < 0.18)
    _paint(picture, head | shaft, colour)


def _person(picture: Picture, colour: tuple[float, float, float]) -> None:
    _paint(picture, (_X**2 + (_Y - 0.45) ** 2 < 0.02), colour)
    _paint(picture, _box(-0.13, 0.13, -0.15, 0.28), colour)
    legs = (_Y < -0.1) & (_Y > -0.6) & (np.abs(np.abs(_X) - (-0.1 - _Y) * 0.5) < 0.08)
    _paint(picture, legs, colour)


def _bicycle(picture: Picture, colour: tuple[float, float, float]) -> None:
    for centre in (-0.4, 0.4):
        radius = np.hypot(_X - centre, _Y + 0.2)
        _paint(picture, (radius < 0.3) & (radius > 0.19), colour)
    _paint(picture, _box(-0.4, 0.4, 0.05, 0.16) | _box(0.25, 0.37, 0.1, 0.45) | _box(-0.3, -0.05, 0.25, 0.36), colour)


def sign_shape(face: str) -> str:
    """The outline of a face's plate: disc, octagon, triangle, down_triangle, diamond or plate."""
    if face.startswith("us_warning"):
        return "diamond"
    if face == "stop":
        return "octagon"
    if face in ("yield", "give_way"):
        return "down_triangle"
    if face.startswith(("warning", "crossing_ahead", "children")):
        return "triangle"
    if face.startswith(("speed", "no_", "two_wheel", "ahead", "keep", "turn", "minimum", "horn")):
        return "disc"
    return "plate"


def sign_face(face: str) -> Picture:
    """The picture on a sign plate."""
    radius = np.hypot(_X, _Y)
    kind, _, rest = face.partition("_")
    if face.startswith("us_speed"):
        picture = _plain(WHITE)
        _paint(picture, np.maximum(np.abs(_X), np.abs(_Y)) > 0.9, BLACK)
        _write(picture, "".join(c for c in rest if c.isdigit())[:3] or "30", BLACK, 1.2, 1.2)
    elif face.startswith("us_warning"):
        picture = _plain(YELLOW)
        _paint(picture, np.abs(_X) + np.abs(_Y) > 0.9, BLACK)
        _arrow(picture, BLACK, "left" if "left" in face else "right" if "right" in face else "straight")
    elif kind == "speed":
        picture = _plain(WHITE)
        _paint(picture, radius > 0.74, RED)
        number = "".join(c for c in rest if c.isdigit())[:3] or "50"
        _write(picture, number, BLACK, 1.0, 0.8)
    elif face == "stop":
        picture = _plain(RED)
        _paint(picture, np.maximum(np.abs(_X) + np.abs(_Y) * 0.41, np.abs(_Y) + np.abs(_X) * 0.41) > 0.94, WHITE)
        _write(picture, "STOP", WHITE, 1.5, 0.62)
    elif face in ("yield", "give_way"):
        picture = _plain(WHITE)
        _paint(picture, (np.abs(_X) > (_Y + 1) * 0.5 - 0.3) | (_Y > 0.68), RED)
    elif face.startswith("no_entry"):
        picture = _plain(RED)
        _paint(picture, _box(-0.65, 0.65, -0.17, 0.17), WHITE)
    elif kind == "no":
        picture = _plain(WHITE)
        if "left" in face or "right" in face:
            _arrow(picture, BLACK, "left" if "left" in face else "right")
        else:
            _bicycle(picture, BLACK)
        _paint(picture, (radius > 0.78) | (np.abs(_X + _Y) < 0.12), RED)
    elif kind in ("warning", "children", "crossing"):
        picture = _plain(YELLOW)
        _paint(picture, (np.abs(_X) > (1 - _Y) * 0.5 - 0.2) | (_Y < -0.8), BLACK)
        _paint(picture, _box(-0.09, 0.09, -0.35, 0.25) | _box(-0.09, 0.09, -0.62, -0.45), BLACK)
    elif kind == "pedestrian" or face == "zebra":
        picture = _plain(BLUE)
        _paint(picture, (_Y > -0.75) & (np.abs(_X) < (0.85 - _Y) * 0.55), WHITE)
        _person(picture, BLACK)
    elif face.startswith("two_wheel"):
        picture = _plain(BLUE)
        _bicycle(picture, WHITE)
    elif kind == "bus":
        picture = _plain(BLUE)
        _write(picture, "BUS", WHITE, 1.5, 0.8)
    elif kind == "parking":
        picture = _plain(BLUE)
        _write(picture, "P", WHITE, 0.8, 1.3)
    else:
        picture = _plain(GREEN if "highway" in face else BLUE)
        _paint(picture, np.maximum(np.abs(_X), np.abs(_Y)) > 0.93, WHITE)
        turn = next((t for t in ("left", "right") if t in face), "straight")
        _arrow(picture, WHITE, turn)
    return picture


def house_front(shop: bool) -> Picture:
    """One bay of a house front, to be multiplied with the house's colour and repeated: two windows by two."""
    picture = _plain((1.0, 1.0, 1.0))
    for x in (-0.5, 0.5):
        for y in (-0.5, 0.5):
            _paint(picture, _box(x - 0.27, x + 0.27, y - 0.3, y + 0.28), (0.78, 0.78, 0.78))
            _paint(picture, _box(x - 0.22, x + 0.22, y - 0.27, y + 0.24), (0.26, 0.32, 0.42))
    _paint(picture, (np.abs(_Y) < 0.04) | (np.abs(_Y) > 0.96), (0.82, 0.82, 0.82))
    if shop:
        _paint(picture, _box(-1, 1, -1, 0.1), (0.22, 0.26, 0.32))
        _paint(picture, _box(-1, 1, 0.1, 0.5), (0.95, 0.45, 0.3))
    return picture
