"""How fast the smallest network trains, beside the same network fed from memory, and the loader alone.

Run: ``python -m benchmarks training``. The rig is the towns' own, the pictures are noise (what a picture shows costs
nothing). Ratios are taken in turns within one run, so that what else the machine does falls on both sides.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import torch

from inland import export, fit, model, recipes
from inland.drivers import ModelDriver, Observation
from inland.samples import TARGETS, Moments, SampleTable, history_rows
from inland.stream import Position, prefetch
from inland.world.state import Command, RouteHint

MOMENTS = 2400
STEPS = 20
ROUNDS = 4
THREADS = len(os.sched_getaffinity(0))
CPU = torch.device("cpu")


def made_table(folder: Path, recipe: recipes.Recipe) -> SampleTable:
    """Noise of the right shapes in a Lance table, as `inland.samples` lays it out."""
    rng = np.random.default_rng(0)
    for begin in range(0, MOMENTS, 400):
        columns = {}
        for camera in recipe.cameras:
            wide = 3 * camera.input_px[0] * camera.input_px[1]
            shown = rng.integers(0, 256, (400, wide), np.uint8)
            columns[f"image_{camera.name}"] = pa.FixedSizeListArray.from_arrays(pa.array(shown.ravel()), wide)
        lance.write_dataset(pa.table(columns), str(folder), mode="append" if begin else "create")
    t_ns = np.arange(MOMENTS, dtype=np.int64) * 100_000_000
    route = np.zeros((MOMENTS, 5), np.float32)
    route[np.arange(MOMENTS), rng.integers(0, 4, MOMENTS)] = 1
    moments = Moments(
        clip=np.zeros(MOMENTS, np.int32),
        t_ns=t_ns,
        speed_mps=rng.uniform(0, 12, MOMENTS).astype(np.float32),
        route=route,
        targets=rng.normal(0, 0.05, (MOMENTS, TARGETS)).astype(np.float32),
        flags=np.zeros(MOMENTS, np.uint8),
        present=np.ones((MOMENTS, len(recipe.cameras)), np.bool_),
        history=history_rows(["one"] * MOMENTS, t_ns, recipe.frames, recipe.history_step_s),
    )
    side, weight = np.zeros(MOMENTS, np.uint8), np.ones(MOMENTS, np.float32)
    return SampleTable(moments, recipe.cameras, side, weight, lance.dataset(str(folder)))


def loop_rate(table: SampleTable, recipe: recipes.Recipe) -> float:
    """Samples a second of the whole loop, as `train` runs it."""
    return fit.fit(model.build(recipe), table, recipe, device=CPU).samples_per_s


def memory_rate(table: SampleTable, recipe: recipes.Recipe) -> float:
    """Samples a second of the same network and optimiser on one batch that is always there."""
    network = model.build(recipe).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate)
    batch = next(fit._training_batches(table, recipe, True, 0, Position(), CPU))
    halved = fit.bfloat16_in_hardware(CPU)
    began = time.perf_counter()
    for _ in range(recipe.steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=halved):
            out = network(batch.pictures, batch.present, batch.speed_mps, batch.route, batch.jitter)
        loss = fit.loss_of(out.float(), batch.targets, recipe)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return recipe.steps * recipe.batch / (time.perf_counter() - began)


def loader_rate(table: SampleTable, recipe: recipes.Recipe) -> float:
    """Samples a second of the loader alone, through its thread."""
    began = time.perf_counter()
    count = sum(len(batch.route) for batch in prefetch(fit._training_batches(table, recipe, True, 0, Position(), CPU)))
    return count / (time.perf_counter() - began)


def inference_ms(recipe: recipes.Recipe) -> float:
    """Median milliseconds of one answer at the wheel, whole rig, one thread of ONNX Runtime."""
    onnx = export.to_onnx(model.build(recipe), recipe)
    manifest = export.manifest_of(
        onnx, recipe, looks=True, weights_sha256="", input_digest="", constant={}, origins=(), classes=(), parents=()
    )
    driver = ModelDriver(onnx, manifest)
    rng = np.random.default_rng(1)
    images = {c.name: rng.integers(0, 256, (c.height_px, c.width_px, 3), np.uint8) for c in recipe.cameras}
    spent = []
    for k in range(200):
        seen = Observation(k * 100_000_000, images, 5.0, RouteHint(Command.FOLLOW, 60.0))
        began = time.perf_counter()
        driver.drive(seen)
        spent.append(time.perf_counter() - began)
    return 1e3 * statistics.median(spent[20:])


def run() -> dict[str, Any]:
    """Measure; see the module's words."""
    recipe = recipes.base().with_(steps=STEPS, warmup_steps=2)
    torch.set_num_threads(THREADS)
    fit.keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        table = made_table(Path(folder) / "moments.lance", recipe)
        on_disk = max(loader_rate(table, recipe) for _ in range(3))
        disk_loop = loop_rate(table, recipe)
        table.hold_in_memory(2**40)
        loops, memories = [], []
        for _ in range(ROUNDS):  # in turns
            memories.append(memory_rate(table, recipe))
            loops.append(loop_rate(table, recipe))
        held = max(loader_rate(table, recipe) for _ in range(3))
    ratio = statistics.median(a / b for a, b in zip(loops, memories, strict=True))
    loop = statistics.median(loops)
    answer_ms = inference_ms(recipe)
    targets = [
        {"name": "training loop / same network fed from memory", "value": round(ratio, 3), "target": 0.9},
        {"name": "loader alone / training loop", "value": round(held / loop, 2), "target": 3.0},
        {"name": "loader alone from disk / training loop", "value": round(on_disk / loop, 2), "target": 3.0},
    ]
    for row in targets:
        row["met"] = float(row["value"]) >= float(row["target"])  # type: ignore[arg-type]
    targets.append({"name": "one answer, ms", "value": round(answer_ms, 2), "target": 1.0, "met": answer_ms <= 1.0})
    return {
        "targets": targets,
        "threads": THREADS,
        "parameters": sum(p.numel() for p in model.build(recipe).parameters()),
        "samples_per_s": {
            "training loop": round(loop, 1),
            "training loop, table on disk": round(disk_loop, 1),
            "fed from memory": round(statistics.median(memories), 1),
            "loader from memory": round(held, 1),
            "loader from disk": round(on_disk, 1),
        },
    }
