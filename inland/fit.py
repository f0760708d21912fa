"""The training loop: a network and a sample table to weights. Device-neutral, seeded, resumable, pure but for both
callables that keep its checkpoints.

Everything random is drawn from (seed, step), so a checkpoint is weights, optimiser, mean weights, step and position
in the stream of samples; a killed run goes on from it and ends with bit-identical weights on the same machine and
thread count.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inland.errors import TrainingError
from inland.model import OUTPUTS, SCALES
from inland.recipes import Recipe
from inland.samples import Batch, SampleTable
from inland.stream import Position, prefetch, stream
from inland.world.state import TRAJECTORY_POINTS

Progress = Callable[[float, float, str], None]
_CURVE_POINTS = 200
_HUBER = (0.1, *(0.25,) * (OUTPUTS - 1))
"""Where an error turns from squared to absolute, in scaled units: 0.005 1/m of curvature, 0.5 m/s2."""


@dataclass(frozen=True, slots=True)
class Trained:
    """One network's training: mean weights, curves of the loss, and how fast it went (this run's part)."""

    weights: Mapping[str, Tensor]
    curve: tuple[tuple[int, float], ...]
    samples_per_s: float


def keep_freed_memory() -> None:
    """Tell glibc to keep freed blocks instead of returning them to the kernel.

    Each step allocates and frees blocks of some 100 MB; taking them from the kernel page by page every time was
    a third of a step on a CPU. Without glibc this does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(-4, 0)  # M_MMAP_MAX: no block is its own mapping
    mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
    mallopt(-2, 64 * 2**20)  # M_TOP_PAD


def learning_rate_at(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then a cosine down to 1%."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    share = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return recipe.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


def loss_of(out: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
    """Masked Huber loss in scaled units: per output the mean over the samples that have that target."""
    known = torch.isfinite(targets)
    wanted = torch.where(known, targets, torch.zeros_like(targets))
    beta = torch.tensor(_HUBER, device=out.device)
    apart = (out - wanted / torch.tensor(SCALES, device=out.device)).abs()
    each = torch.where(apart < beta, 0.5 * apart.square() / beta, apart - 0.5 * beta) * known
    weights = recipe.loss_weights
    total = out.new_zeros(())
    for columns, weight in (
        (slice(0, 1), weights.curvature),
        (slice(1, 2), weights.acceleration),
        (slice(2, 3), weights.steering),
        (slice(3, None), weights.trajectory),
    ):
        total = total + weight * each[:, columns].sum() / known[:, columns].sum().clamp(min=1)
    return total


@dataclass(frozen=True, slots=True)
class _Tensors:
    """One rank's share of a batch, as torch has it."""

    pictures: dict[str, Tensor]
    present: dict[str, Tensor]
    speed_mps: Tensor
    route: Tensor
    targets: Tensor
    jitter: Tensor | None
    position: Position


def _tensors(batch: Batch, recipe: Recipe, device: torch.device, position: Position = Position()) -> _Tensors:  # noqa: B008
    def moved(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)

    return _Tensors(
        pictures={name: moved(shown) for name, shown in batch.pictures.items()},
        present={camera.name: moved(batch.present[:, i]) for i, camera in enumerate(recipe.cameras)},
        speed_mps=moved(batch.speed_mps[:, None]),
        route=moved(batch.route),
        targets=moved(batch.targets),
        jitter=None,
        position=position,
    )


_SIDEWAYS = np.array([-1, 1, -1, *(1, -1) * TRAJECTORY_POINTS], np.float32)
_LEFT_FOR_RIGHT = [0, 3, 2, 1, 4]


def mirrored(batch: Batch, flip: NDArray[np.bool_]) -> Batch:
    """The batch with some samples seen in a mirror: pictures, route, and the sideways targets."""
    pictures = {
        name: np.where(flip[:, None, None, None, None], p[:, :, :, ::-1], p) for name, p in batch.pictures.items()
    }
    route = np.where(flip[:, None], batch.route[:, _LEFT_FOR_RIGHT], batch.route)
    targets = np.where(flip[:, None], batch.targets * _SIDEWAYS, batch.targets)
    return replace(batch, pictures=pictures, route=route, targets=targets)


def shifted(batch: Batch, by_px: NDArray[np.int64]) -> Batch:
    """The batch with each sample's prepared pictures moved by ``by_px`` (B, 2: down, right), edges repeated."""
    pictures = {}
    for name, shown in batch.pictures.items():
        height, width = shown.shape[2:4]
        rows = np.clip(np.arange(height) - by_px[:, :1], 0, height - 1)
        columns = np.clip(np.arange(width) - by_px[:, 1:], 0, width - 1)
        each = np.arange(len(shown))[:, None, None]
        moved = shown.swapaxes(1, 2).swapaxes(2, 3)[each, rows[:, :, None], columns[:, None, :]]
        pictures[name] = np.ascontiguousarray(moved.swapaxes(2, 3).swapaxes(1, 2))
    return replace(batch, pictures=pictures)


def _training_batches(
    table: SampleTable, recipe: Recipe, look: bool, start: int, position: Position, device: torch.device
) -> Iterator[_Tensors]:
    """This rank's batches from ``start`` on, with what is hidden and jittered drawn from (seed, step)."""
    rank, world = rank_and_world()
    order = stream(table.train_rows, table.weight, recipe.seed, recipe.batch, position)
    for step, (rows, after) in zip(range(start, recipe.steps), order, strict=False):
        rng = np.random.default_rng([recipe.seed, 1, step])
        hidden = rng.random(len(rows)) < recipe.speed_dropout
        blind = rng.random(len(rows)) < recipe.camera_dropout
        which = rng.integers(1, max(2, len(recipe.cameras)), len(rows))
        jitter = rng.uniform(-recipe.image_jitter, recipe.image_jitter, (len(rows), 2)).astype(np.float32)
        mine = slice(rank, None, world)
        read = table.batch(rows[mine], look=look)
        if recipe.mirror > 0:
            read = mirrored(read, (rng.random(len(rows)) < recipe.mirror)[mine])
        if recipe.shift_px > 0:
            read = shifted(read, rng.integers(-recipe.shift_px, recipe.shift_px + 1, (len(rows), 2))[mine])
        batch = _tensors(read, recipe, device, after)
        for index, camera in enumerate(recipe.cameras):
            if index > 0:
                lost = torch.from_numpy((blind & (which == index))[mine]).to(device)
                batch.present[camera.name] &= ~lost
        batch.speed_mps[torch.from_numpy(hidden[mine]).to(device)] = float("nan")
        jitter[:, 0] += 1.0
        shown = torch.from_numpy(jitter[mine].copy()).to(device)
        yield replace(batch, jitter=shown if look and recipe.image_jitter > 0 else None)


def fit(
    network: nn.Module,
    table: SampleTable,
    recipe: Recipe,
    *,
    look: bool = True,
    device: torch.device | None = None,
    load: Callable[[], bytes | None] = lambda: None,
    save: Callable[[bytes], None] = lambda _: None,
    progress: Progress | None = None,
    name: str = "train",
) -> Trained:
    """Train ``network`` in place for ``recipe.steps`` steps; the mean weights are returned, and what ships.

    ``look=False`` trains it without pictures. ``load`` and ``save`` keep checkpoints, every
    ``recipe.checkpoint_steps`` steps. Raises TrainingError where the loss is no number any more.
    """
    device = device or choose_device()
    network.to(device).train()
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.98)
    )
    mean = {key: value.detach().clone() for key, value in network.state_dict().items()}
    step, position = 0, Position()
    curve: list[tuple[int, float]] = []
    kept = load()
    if kept is not None:
        state = torch.load(io.BytesIO(kept), weights_only=True, map_location=device)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        mean, step, position = state["mean"], state["step"], Position(*state["position"])
        curve = [(int(at), float(loss)) for at, loss in state["curve"]]
    pairs = _pairs(mean, network)
    rank, world = rank_and_world()
    shown: nn.Module = network
    if world > 1:
        shown = nn.parallel.DistributedDataParallel(network, find_unused_parameters=not look)
    halved = recipe.precision == "auto" and bfloat16_in_hardware(device)
    every = max(1, recipe.steps // _CURVE_POINTS)
    losses: list[Tensor] = []
    began, first = time.perf_counter(), step
    batches = prefetch(_training_batches(table, recipe, look, step, position, device))
    with contextlib.closing(batches), _deterministic(), torch.random.fork_rng():
        for batch in batches:
            torch.manual_seed(recipe.seed * 1_000_003 + step * world + rank)  # dropout too is drawn from (seed, step)
            for group in optimiser.param_groups:
                group["lr"] = learning_rate_at(recipe, step)
            with torch.autocast(device.type, torch.bfloat16, enabled=halved):
                out = shown(batch.pictures, batch.present, batch.speed_mps, batch.route, batch.jitter)
            loss = loss_of(out.float(), batch.targets, recipe)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            losses.append(loss.detach())
            step += 1
            _average(pairs, min(recipe.average, step / (10 + step)) if recipe.average else 0.0)
            resting = step % recipe.checkpoint_steps == 0 or step == recipe.steps
            if step % every == 0 or resting:
                value = float(torch.stack(losses).mean())
                losses.clear()
                if not math.isfinite(value):
                    raise TrainingError(
                        f"the loss is {value} at step {step}",
                        place=f"recipe {recipe.name}",
                        remedy="lower the learning rate, or look at the labels",
                    )
                curve.append((step, value))
            if rank == 0 and resting and step < recipe.steps:
                save(_checkpoint(network, optimiser, mean, step, batch.position, curve))
            if progress is not None:
                progress(step, recipe.steps, name)
    spent = time.perf_counter() - began
    network.load_state_dict(mean)
    network.eval()
    return Trained(
        weights={key: value.detach().cpu() for key, value in mean.items()},
        curve=tuple(curve),
        samples_per_s=(step - first) * recipe.batch / spent if step > first else 0.0,
    )


def _average(pairs: _Pairs, decay: float) -> None:
    """Move the exponential mean of the weights on by one step; counters and running statistics are copied."""
    with torch.no_grad():
        torch._foreach_lerp_(pairs.mean, pairs.now, 1.0 - decay)
        torch._foreach_copy_(pairs.mean_buffers, pairs.now_buffers)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """The mean weights beside the weights themselves, looked up once and not at every step."""

    mean: list[Tensor]
    now: list[Tensor]
    mean_buffers: list[Tensor]
    now_buffers: list[Tensor]


def _pairs(mean: Mapping[str, Tensor], network: nn.Module) -> _Pairs:
    learned, rest = dict(network.named_parameters()), dict(network.named_buffers())
    return _Pairs([mean[k] for k in learned], list(learned.values()), [mean[k] for k in rest], list(rest.values()))


def _checkpoint(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    mean: Mapping[str, Tensor],
    step: int,
    position: Position,
    curve: list[tuple[int, float]],
) -> bytes:
    stream_ = io.BytesIO()
    state = {
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "mean": dict(mean),
        "step": step,
        "position": [position.epoch, position.offset],
        "curve": [list(point) for point in curve],
    }
    torch.save(state, stream_)
    return stream_.getvalue()


@contextlib.contextmanager
def _deterministic() -> Iterator[None]:
    """Only algorithms that give the same bits again; on a GPU cuBLAS wants to be told beforehand."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    memory: Any = torch.utils.deterministic
    before, fill = torch.are_deterministic_algorithms_enabled(), memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    memory.fill_uninitialized_memory = False  # it would cost a pass over all memory
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        memory.fill_uninitialized_memory = fill


def choose_device() -> torch.device:
    """The accelerator where there is one (CUDA, Ascend, ...), else the CPU."""
    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None:
        return torch.device("cpu")
    local = int(os.environ.get("LOCAL_RANK", "0"))
    return torch.device(found.type, local)


def bfloat16_in_hardware(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 itself; one that emulates it is slower than with float32."""
    if device.type == "cpu":
        return any(there for name, there in torch.cpu.get_capabilities().items() if name.endswith("bf16"))
    told = getattr(getattr(torch, device.type, None), "is_bf16_supported", None)
    return bool(told is not None and told())


def rank_and_world() -> tuple[int, int]:
    """This process's place under ``torchrun``; (0, 1) alone."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def answers_of(
    network: nn.Module, table: SampleTable, rows: NDArray[np.int64], recipe: Recipe, *, look: bool, device: torch.device
) -> NDArray[np.float32]:
    """What the network answers to ``rows``, (N, OUTPUTS) in SI units."""
    network.eval()
    parts = [np.zeros((0, OUTPUTS), np.float32)]
    with torch.inference_mode():
        for begin in range(0, len(rows), recipe.batch):
            batch = _tensors(table.batch(rows[begin : begin + recipe.batch], look=look), recipe, device)
            out = network(batch.pictures, batch.present, batch.speed_mps, batch.route)
            parts.append((out.cpu() * torch.tensor(SCALES)).numpy())
    return np.concatenate(parts)
