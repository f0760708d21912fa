"""A clip as a row of the lake and back. Pure (pyarrow alone); `inland.lake` stores the rows.

Mappings become lists sorted by name, so that equal clips make equal rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from inland.clip import Camera, Clip, Rig, Signal, Trigger

_TIMES = pa.list_(pa.int64())
_NUMBERS = pa.list_(pa.float64())
_STRINGS = pa.list_(pa.string())
_CAMERA = pa.struct(
    [
        ("name", pa.string()),
        ("width_px", pa.int32()),
        ("height_px", pa.int32()),
        ("focal_px", _NUMBERS),
        ("centre_px", _NUMBERS),
        ("position_m", _NUMBERS),
        ("rotation_rad", _NUMBERS),
    ]
)
_SIGNAL = pa.struct(
    [("name", pa.string()), ("clock", pa.string()), ("t_ns", _TIMES), ("value", pa.list_(pa.float32()))]
)
CLIPS = pa.schema(
    [
        ("id", pa.string()),
        ("drive", pa.string()),
        ("vehicle", pa.string()),
        ("start_ns", pa.int64()),
        ("end_ns", pa.int64()),
        ("format", pa.string()),
        ("clock", pa.string()),
        ("cameras", pa.list_(_CAMERA)),
        ("wheelbase_m", pa.float64()),
        ("steering", pa.string()),
        ("frames", pa.list_(pa.struct([("camera", pa.string()), ("t_ns", _TIMES)]))),
        ("signals", pa.list_(_SIGNAL)),
        (
            "triggers",
            pa.list_(pa.struct([("name", pa.string()), ("t_ns", pa.int64()), ("note", pa.string())])),
        ),
        ("media", pa.string()),
        ("media_bytes", pa.int64()),
        ("revision", pa.int32()),
        ("origins", _STRINGS),
        ("classes", _STRINGS),
        ("parents", _STRINGS),
        ("release", pa.string()),
        ("place", pa.string()),
        ("notes", pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))),
    ]
)
"""The columns of the table ``clips``."""
_PLAIN = ("id", "drive", "vehicle", "start_ns", "end_ns", "format", "clock", "media", "media_bytes", "revision")
_PLAIN_AFTER = ("release", "place")
_SETS = ("origins", "classes", "parents")


def clip_row(clip: Clip) -> dict[str, Any]:
    """The clip as one row with the columns of `CLIPS`."""
    row: dict[str, Any] = {name: getattr(clip, name) for name in (*_PLAIN, *_PLAIN_AFTER)}
    row.update({name: list(getattr(clip, name)) for name in _SETS})
    row["cameras"] = [
        {
            "name": camera.name,
            "width_px": camera.width_px,
            "height_px": camera.height_px,
            "focal_px": camera.focal_px,
            "centre_px": camera.centre_px,
            "position_m": camera.position_m,
            "rotation_rad": camera.rotation_rad,
        }
        for camera in clip.rig.cameras
    ]
    row["wheelbase_m"], row["steering"] = clip.rig.wheelbase_m, clip.rig.steering
    row["frames"] = [
        {"camera": name, "t_ns": np.asarray(clip.frame_t_ns[name], np.int64)} for name in sorted(clip.frame_t_ns)
    ]
    row["signals"] = [
        {
            "name": name,
            "clock": clip.signals[name].clock,
            "t_ns": np.asarray(clip.signals[name].t_ns, np.int64),
            "value": np.asarray(clip.signals[name].value, np.float32),
        }
        for name in sorted(clip.signals)
    ]
    row["triggers"] = [{"name": t.name, "t_ns": t.t_ns, "note": t.note} for t in clip.triggers]
    row["notes"] = [{"key": key, "value": clip.notes[key]} for key in sorted(clip.notes)]
    return row


def clip_from_rows(table: pa.Table) -> list[Clip]:
    """The clips of a table with the columns of `CLIPS`, in its order. Arrays are views of the table's memory."""
    light = table.drop_columns(["frames", "signals"]).to_pylist()
    frames, signals = _column(table, "frames"), _column(table, "signals")
    frame_of, frame_rows = _offsets(frames), frames.values
    frame_names, frame_times = frame_rows.field("camera").to_pylist(), _arrays(frame_rows.field("t_ns"))
    signal_of, signal_rows = _offsets(signals), signals.values
    names, clocks = signal_rows.field("name").to_pylist(), signal_rows.field("clock").to_pylist()
    times, values = _arrays(signal_rows.field("t_ns")), _arrays(signal_rows.field("value"))
    found = []
    for n, row in enumerate(light):
        plain: dict[str, Any] = {name: row[name] for name in (*_PLAIN, *_PLAIN_AFTER)}
        sets: dict[str, Any] = {name: tuple(row[name]) for name in _SETS}
        found.append(
            Clip(
                rig=Rig(
                    cameras=tuple(_camera(camera) for camera in row["cameras"]),
                    wheelbase_m=row["wheelbase_m"],
                    steering=row["steering"],
                ),
                frame_t_ns={frame_names[i]: frame_times[i] for i in range(frame_of[n], frame_of[n + 1])},
                signals={
                    names[i]: Signal(name=names[i], t_ns=times[i], value=values[i], clock=clocks[i])
                    for i in range(signal_of[n], signal_of[n + 1])
                },
                triggers=tuple(Trigger(**trigger) for trigger in row["triggers"]),
                notes={note["key"]: note["value"] for note in row["notes"]},
                **plain,
                **sets,
            )
        )
    return found


def _camera(row: dict[str, Any]) -> Camera:
    tuples = ("focal_px", "centre_px", "position_m", "rotation_rad")
    plain = {key: value for key, value in row.items() if key not in tuples}
    known: dict[str, Any] = {key: None if row[key] is None else tuple(row[key]) for key in tuples}
    return Camera(**plain, **known)


def _column(table: pa.Table, name: str) -> Any:
    column = table[name].combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # no rows at all, or too many for one array
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], type=column.type)
    return column


def _offsets(array: Any) -> NDArray[np.int32]:
    offsets: NDArray[np.int32] = array.offsets.to_numpy()
    return offsets


def _arrays(lists: Any) -> list[NDArray[Any]]:
    """Each list of a list array as one numpy array, without copying."""
    offsets, values = _offsets(lists), lists.values.to_numpy(zero_copy_only=False)
    return [values[offsets[i] : offsets[i + 1]] for i in range(len(lists))]
