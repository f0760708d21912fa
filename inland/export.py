"""From a trained network to what ships: one ONNX file, checked against torch, and the manifest that fixes its face."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from inland.digest import digest_of, sha256
from inland.drivers import MANIFEST_FORMAT
from inland.errors import TrainingError
from inland.model import Face
from inland.recipes import Recipe
from inland.world.state import ROUTE_HORIZON_M, TRAJECTORY_POINTS, TRAJECTORY_STEP_S, Command

OUTPUT_NAMES = ("curvature_1pm", "acceleration_mps2", "trajectory_m", "steering_normalised")
AGREEMENT = 1e-4
"""Largest difference allowed between torch and ONNX Runtime, in each output's own unit."""


def example_inputs(recipe: Recipe, batch: int, seed: int) -> dict[str, NDArray[Any]]:
    """Random inputs of a recipe's face; with more than two samples one lacks its speed and one a camera."""
    rng = np.random.default_rng(seed)
    inputs: dict[str, NDArray[Any]] = {}
    for camera in recipe.cameras:
        shape = (batch, recipe.frames, camera.height_px, camera.width_px, 3)
        inputs[camera.name] = rng.integers(0, 256, shape, np.uint8)
    speed = rng.uniform(0, 15, (batch, 1)).astype(np.float32)
    route = np.zeros((batch, 5), np.float32)
    route[np.arange(batch), rng.integers(0, 4, batch)] = 1.0
    route[:, 4] = rng.random(batch, np.float32)
    if batch > 2:
        speed[0] = np.nan
        inputs[recipe.cameras[-1].name][1] = 0
    return {**inputs, "speed_mps": speed, "route": route}


def to_onnx(network: nn.Module, recipe: Recipe) -> bytes:
    """The face of ``network`` as ONNX with a free batch size, equal bytes for equal weights.

    Raises TrainingError where ONNX Runtime's outputs differ from torch's by more than AGREEMENT.
    """
    face = Face(network, recipe.cameras).eval().cpu()
    example = tuple(torch.from_numpy(value) for value in example_inputs(recipe, 3, 0).values())
    names = list(example_inputs(recipe, 1, 0))
    batch = torch.export.Dim("batch", min=1, max=4096)
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own deprecations
            program = torch.onnx.export(
                face,
                example,
                dynamo=True,
                verbose=False,
                input_names=names,
                output_names=list(OUTPUT_NAMES),
                dynamic_shapes={"inputs": tuple({0: batch} for _ in names)},
            )
    except (torch.onnx.OnnxExporterError, torch._dynamo.exc.TorchDynamoException) as error:
        raise TrainingError(
            f"the network does not export to ONNX: {(str(error).strip().splitlines() or ['no reason given'])[0]}",
            place=f"make_model={recipe.make_model!r}",
            remedy="use operators that ONNX has, and no Python branch on what a tensor holds",
        ) from error
    finally:
        quiet.setLevel(level)
    if program is None:
        raise TrainingError("torch gave no ONNX program", place=f"make_model={recipe.make_model!r}")
    onnx = _bare(program.model_proto)
    _check(face, onnx, recipe)
    return onnx


def _bare(model: Any) -> bytes:
    """Without the exporter's notes: they hold source paths, which no shipped file and no digest may know."""
    for node in [*model.graph.node, *(node for function in model.functions for node in function.node)]:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer]:
        del value.metadata_props[:]
        value.doc_string = ""
    for holder in (model, model.graph):
        del holder.metadata_props[:]
        holder.doc_string = ""
    stream = io.BytesIO()
    stream.write(model.SerializeToString(deterministic=True))
    return stream.getvalue()


def _check(face: Face, onnx: bytes, recipe: Recipe) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    for batch in (1, 5):
        inputs = example_inputs(recipe, batch, seed=batch)
        with torch.inference_mode():
            wanted = face(*(torch.from_numpy(value) for value in inputs.values()))
        got = session.run(list(OUTPUT_NAMES), inputs)
        for name, ours, theirs in zip(OUTPUT_NAMES, wanted, got, strict=True):
            apart = float(np.abs(ours.numpy() - theirs).max())
            if not apart <= AGREEMENT:
                raise TrainingError(
                    f"ONNX Runtime and torch differ by {apart:.2g} in {name}; {AGREEMENT:g} is allowed",
                    place=f"batch of {batch}",
                    remedy="train again from another seed, or take the operators that differ out of the network",
                )


def manifest_of(
    onnx: bytes,
    recipe: Recipe,
    *,
    looks: bool,
    weights_sha256: str,
    input_digest: str,
    constant: Mapping[str, tuple[float, float]],
    origins: tuple[str, ...],
    classes: tuple[str, ...],
    parents: tuple[str, ...],
) -> dict[str, Any]:
    """Everything that a vehicle must know to drive ``onnx``, and where it comes from. Plain JSON.

    ``looks`` is False for an ego-only network: its driver gives it zeroed pictures. ``constant`` has the mean
    training controls of each route command.
    """
    shapes: dict[str, list[int | str]] = {
        camera.name: ["batch", recipe.frames, camera.height_px, camera.width_px, 3] for camera in recipe.cameras
    }
    return {
        "format": MANIFEST_FORMAT,
        "recipe": recipe.name,
        "depth": recipe.depth,
        "cameras": [
            {"name": camera.name, "width_px": camera.width_px, "height_px": camera.height_px}
            for camera in recipe.cameras
        ],
        "looks": looks,
        "frames": recipe.frames,
        "frame_order": "oldest first",
        "history_step_s": recipe.history_step_s,
        "inputs": {**shapes, "speed_mps": ["batch", 1], "route": ["batch", 5]},
        "outputs": {
            "curvature_1pm": ["batch"],
            "acceleration_mps2": ["batch"],
            "trajectory_m": ["batch", TRAJECTORY_POINTS, 2],
            "steering_normalised": ["batch"],
        },
        "trajectory_step_s": TRAJECTORY_STEP_S,
        "route": {
            "one_hot": [command.name.lower() for command in Command],
            "distance_horizon_m": ROUTE_HORIZON_M,
            "unknown": "all zeros",
        },
        "missing_camera": "all zeros; the network puts a learned stand-in in its place",
        "missing_speed": "NaN; the network is told that it is unknown",
        "missing_past": "the oldest frame that there is",
        "constant": {command: list(row) for command, row in sorted(constant.items())},
        "onnx_sha256": sha256(onnx),
        "weights_sha256": weights_sha256,
        "input_digest": input_digest,
        "origins": list(origins),
        "classes": list(classes),
        "parents": list(parents),
    }


def model_digest(manifest: Mapping[str, Any]) -> str:
    """A model's name: 32 hex digits that cover its manifest, and through it its ONNX file."""
    return digest_of(manifest)[:32]
