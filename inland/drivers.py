"""Who can be at the wheel: a model, the expert, a constant, an ego-only network.

A driver sees an `Observation` ten times a second and answers with a `Control`. Nothing stands between the two
and the wheel: no rule, no tracker.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inland.digest import digest_of, sha256
from inland.errors import BadInput, NotStored, SignatureInvalid
from inland.world.state import ROUTE_HORIZON_M, Control, RouteHint

if TYPE_CHECKING:
    from inland.site import Site

Image = NDArray[np.uint8]
"""(height, width, 3) RGB."""
MANIFEST_FORMAT = "inland.driver/1"


@dataclass(frozen=True, slots=True)
class Observation:
    """What the vehicle knows now. ``images`` is empty where the driver declares that it needs none."""

    t_ns: int
    images: Mapping[str, Image]
    speed_mps: float
    route: RouteHint


class Driver(Protocol):
    """One driver. ``cameras`` are the cameras that it looks at; an empty tuple saves the rendering."""

    name: str
    digest: str
    cameras: tuple[str, ...]

    def reset(self, seed: int) -> None:
        """Forget the past; a new episode begins."""
        ...

    def drive(self, observation: Observation) -> Control:
        """Answer one observation."""
        ...


def route_features(command: float, distance_m: float) -> NDArray[np.float32]:
    """A route hint as a model reads it, (5,): one-hot `Command`, distance over ROUTE_HORIZON_M (-1 to 1).

    All zeros where the command is not known (NaN): a log without navigation.
    """
    features = np.zeros(5, np.float32)
    if np.isfinite(command):
        features[int(command)] = 1.0
        features[4] = 1.0 if not np.isfinite(distance_m) else min(max(distance_m / ROUTE_HORIZON_M, -1.0), 1.0)
    return features


class ModelDriver:
    """A driver's ONNX file at the wheel, on one thread of ONNX Runtime, as its manifest says.

    Before the first ``history_step_s`` has passed, the oldest frame that there is stands in for the missing
    past. A camera that the observation lacks is given as all zeros, which the network knows as "missing".
    """

    def __init__(self, onnx: bytes, manifest: Mapping[str, Any], name: str = "candidate") -> None:
        """Open the session. Raises SignatureInvalid where ``onnx`` is not the manifest's, else BadInput."""
        import onnxruntime

        if manifest.get("format") != MANIFEST_FORMAT:
            raise BadInput(
                f"not a driver's manifest: format {manifest.get('format')!r}",
                place="manifest.json",
                remedy=f"this version of Inland reads {MANIFEST_FORMAT!r}",
            )
        if sha256(onnx) != manifest["onnx_sha256"]:
            raise SignatureInvalid(
                "model.onnx is not the file that its manifest names",
                place="manifest.json: onnx_sha256",
                remedy="take both from the same release again",
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        self.name = name
        self.digest = digest_of(manifest)[:32]
        self._shapes: dict[str, tuple[int, int]] = {
            camera["name"]: (int(camera["height_px"]), int(camera["width_px"])) for camera in manifest["cameras"]
        }
        self.cameras = tuple(self._shapes) if manifest["looks"] else ()
        self._frames = int(manifest["frames"])
        self._step_ns = round(float(manifest["history_step_s"]) * 1e9)
        self._past: deque[tuple[int, Mapping[str, Image]]] = deque()
        self._blank = {
            name: np.zeros((1, self._frames, height, width, 3), np.uint8)
            for name, (height, width) in self._shapes.items()
        }

    def reset(self, seed: int) -> None:
        """Forget the past; the network has no chance in it, so ``seed`` changes nothing."""
        self._past.clear()

    def drive(self, observation: Observation) -> Control:
        """Answer one observation. Raises BadInput where a picture has another size than the manifest's."""
        inputs: dict[str, NDArray[Any]] = {
            "speed_mps": np.array([[observation.speed_mps]], np.float32),
            "route": route_features(observation.route.command, observation.route.distance_m)[None],
        }
        if self.cameras:
            self._remember(observation)
        for name in self._shapes:
            inputs[name] = self._stack(name) if self.cameras else self._blank[name]
        curvature, acceleration, trajectory = self._session.run(
            ["curvature_1pm", "acceleration_mps2", "trajectory_m"], inputs
        )
        return Control(float(curvature[0]), float(acceleration[0]), trajectory[0])

    def _remember(self, observation: Observation) -> None:
        for name, image in observation.images.items():
            if name in self._shapes and image.shape != (*self._shapes[name], 3):
                height, width = self._shapes[name]
                raise BadInput(
                    f"camera {name!r}: {image.shape[1]}x{image.shape[0]}, the model takes {width}x{height}",
                    place="manifest.json: cameras",
                    remedy="drive it on the rig that it was trained for",
                )
        self._past.append((observation.t_ns, observation.images))
        oldest_needed = observation.t_ns - self._step_ns * (self._frames - 1)
        while len(self._past) > 1 and self._past[1][0] <= oldest_needed:
            self._past.popleft()

    def _stack(self, camera: str) -> NDArray[np.uint8]:
        """(1, T, H, W, 3), oldest first: the frames nearest to the wanted times."""
        now = self._past[-1][0]
        stack = self._blank[camera].copy()
        for k in range(self._frames):
            wanted = now - self._step_ns * (self._frames - 1 - k)
            _, images = min(self._past, key=lambda entry, wanted=wanted: abs(entry[0] - wanted))  # type: ignore[misc]
            if camera in images:
                stack[0, k] = images[camera]
        return stack


class ConstantDriver:
    """The mean training controls of each route command, blind: what any driver must beat."""

    def __init__(self, table: Mapping[int, tuple[float, float]], name: str = "constant") -> None:
        """``table``: command -> (curvature_1pm, acceleration_mps2); -1 serves commands that it lacks."""
        self.name = name
        self._table = {int(command): (float(c), float(a)) for command, (c, a) in table.items()}
        self.digest = digest_of("constant", {str(k): v for k, v in self._table.items()})[:32]
        self.cameras: tuple[str, ...] = ()

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def drive(self, observation: Observation) -> Control:
        """The table's row."""
        row = self._table.get(int(observation.route.command), self._table.get(-1, (0.0, 0.0)))
        return Control(*row)


def read_model(site: Site, model: str) -> tuple[bytes, dict[str, Any]]:
    """``(model.onnx, manifest)`` of ``models/MODEL`` of a site. Raises BadInput where it has none."""
    try:
        manifest = json.loads(site.storage.get(f"models/{model}/manifest.json"))
        return site.storage.get(f"models/{model}/model.onnx"), manifest
    except NotStored as error:
        raise BadInput(
            f"this site has no model {model!r}",
            place=f"models/{model}",
            remedy="name one that `inland train` made",
        ) from error


def open_model(site: Site, model: str, name: str = "candidate") -> ModelDriver:
    """The driver of ``models/MODEL``; an ego-only one looks at no camera. Raises BadInput."""
    onnx, manifest = read_model(site, model)
    return ModelDriver(onnx, manifest, name)


def open_constant(site: Site, model: str, name: str = "constant") -> ConstantDriver:
    """The constant driver of the data that ``models/MODEL`` was trained on. Raises BadInput."""
    _, manifest = read_model(site, model)
    return ConstantDriver({int(k): (v[0], v[1]) for k, v in manifest["constant"].items()}, name)
