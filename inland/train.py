"""The trainer: a dataset and a recipe to a driver, its ego-only twin and the constant, with their open-loop error.

The loop itself is `inland.fit`. Here: what it reads and writes in a site, alone or under ``torchrun``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from inland import station
from inland.curate import Dataset, curate
from inland.digest import sha256
from inland.drivers import read_model
from inland.errors import BadInput, NotStored
from inland.export import manifest_of, model_digest, to_onnx
from inland.fit import Progress, answers_of, choose_device, fit, keep_freed_memory, rank_and_world
from inland.model import build
from inland.openloop import commands_of, constant_answers, constant_table, mean_absolute_errors
from inland.recipes import Recipe, get
from inland.samples import REVISION as SAMPLES_REVISION
from inland.samples import SampleTable, open_samples

if TYPE_CHECKING:
    from inland.site import Site

REVISION = 4


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What `train` left. ``model`` and ``ego_only`` are digests below ``models/`` ('' where not trained).

    ``open_loop`` is driver -> output -> mean absolute error on the held-out frames (None without targets);
    ``samples_per_s`` is that of the driver's training loop.
    """

    model: str
    ego_only: str
    dataset: str
    recipe: str
    steps: int
    samples: int
    held_out_frames: int
    split_by: str
    parameters: int
    seconds: float
    samples_per_s: float
    open_loop: Mapping[str, Mapping[str, float | None]]


def train_recipe(
    site: Site,
    name: str,
    *,
    where: str | None = None,
    init: str | None = None,
    processes: int | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Label, curate, decode and train by the recipe of that name: `inland train`. Raises BadInput."""
    recipe = get(name)
    dataset = curate(site, recipe, where, progress=progress)
    return train(site, recipe, dataset, init=init, processes=processes, progress=progress)


def train(
    site: Site,
    recipe: Recipe,
    dataset: Dataset,
    *,
    init: str | None = None,
    ego_only: bool = True,
    processes: int | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a driver and (``ego_only``) its ego-only twin on ``dataset``; both are kept below ``models/``.

    ``init`` is the digest of a model of this site (its ``weights.pt``) to train on from. Under ``torchrun`` every
    rank calls this; the first one writes. Raises BadInput, TrainingError.
    """
    key = station.key_of("train", REVISION, SAMPLES_REVISION, dataset.digest, recipe, init or "", ego_only)
    kept = station.recall(site, "train", key)
    if kept is not None and site.storage.exists(f"models/{kept['model']}/model.onnx"):
        return TrainResult(**kept)
    began = time.perf_counter()
    keep_freed_memory()
    threads_before = torch.get_num_threads()
    torch.set_num_threads(recipe.threads or len(os.sched_getaffinity(0)))
    try:
        with _distributed():
            first = rank_and_world()[0] == 0
            if not first:
                torch.distributed.barrier()  # the first rank decodes, and holds the site's lock meanwhile
            table = open_samples(site, dataset, recipe, processes=processes, progress=progress if first else None)
            if first and rank_and_world()[1] > 1:
                torch.distributed.barrier()
            table.hold_in_memory(_memory_limit())
            result = _train(site, recipe, dataset, table, key, init, ego_only, progress if first else None, began)
            if first:
                station.keep(site, "train", key, asdict(result))
            results = [result]
            if rank_and_world()[1] > 1:
                torch.distributed.broadcast_object_list(results, src=0)
    finally:
        torch.set_num_threads(threads_before)
    return TrainResult(**asdict(results[0]))


def _train(
    site: Site,
    recipe: Recipe,
    dataset: Dataset,
    table: SampleTable,
    key: str,
    init: str | None,
    ego_only: bool,
    progress: Progress | None,
    began: float,
) -> TrainResult:
    device = choose_device()
    start = read_weights(site, init) if init else None
    origins, classes = _ancestry(site, dataset, init)
    moments = table.moments
    means = constant_table(commands_of(moments.route[table.train_rows]), moments.targets[table.train_rows])
    held_out = table.held_out_rows
    wanted = moments.targets[held_out]
    open_loop = {
        "constant": mean_absolute_errors(constant_answers(means, commands_of(moments.route[held_out])), wanted)
    }
    digests: dict[str, str] = {}
    speed, parameters = 0.0, 0
    for name, look in (("driver", True), ("ego_only", False))[: 2 if ego_only else 1]:
        network = build(recipe)
        if start is not None:
            _load(network, start, init or "")
        checkpoint = f"scratch/checkpoints/{key}-{name}.pt"
        trained = fit(
            network,
            table,
            recipe,
            look=look,
            device=device,
            load=lambda path=checkpoint: site.storage.get(path) if site.storage.exists(path) else None,  # type: ignore[misc]
            save=lambda data, path=checkpoint: _put(site, path, data),  # type: ignore[misc]
            progress=progress,
            name=f"train {name}",
        )
        if rank_and_world()[0] != 0:
            continue  # what follows is the first rank's alone; it tells the others
        answers = answers_of(network, table, held_out, recipe, look=look, device=device)
        open_loop[name] = mean_absolute_errors(answers, wanted)
        if look:
            speed, parameters = trained.samples_per_s, sum(p.numel() for p in network.parameters())
        onnx = to_onnx(network, recipe)
        manifest = manifest_of(
            onnx,
            recipe,
            looks=look,
            weights_sha256=weights_digest(trained.weights),
            input_digest=key,
            constant={str(command): (float(row[0]), float(row[1])) for command, row in means.items()},
            origins=origins,
            classes=classes,
            parents=(dataset.digest, *([init] if init else [])),
        )
        training = {
            "recipe": asdict(recipe),
            "dataset": dataset.id,
            "init": init,
            "loss": [list(point) for point in trained.curve],
            "open_loop": open_loop,
        }
        digests[name] = _write(site, onnx, manifest, trained.weights, training)
        _record(site, digests[name], manifest)
    for name in digests:
        site.storage.delete(f"scratch/checkpoints/{key}-{name}.pt")
    return TrainResult(
        model=digests.get("driver", ""),
        ego_only=digests.get("ego_only", ""),
        dataset=dataset.id,
        recipe=recipe.name,
        steps=recipe.steps,
        samples=len(table.train_rows),
        held_out_frames=len(held_out),
        split_by=dataset.split_by,
        parameters=parameters,
        seconds=round(time.perf_counter() - began, 2),
        samples_per_s=round(speed, 1),
        open_loop={name: open_loop[name] for name in ("driver", "constant", "ego_only") if name in open_loop},
    )


def _put(site: Site, path: str, data: bytes) -> None:
    site.storage.put(path, data)


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """Hex SHA-256 over names, types, shapes and bytes: equal for bit-identical weights."""
    lines = [
        f"{key} {value.dtype} {tuple(value.shape)} {sha256(value.contiguous().numpy().tobytes())}"
        for key, value in sorted(weights.items())
    ]
    return sha256("\n".join(lines).encode())


def _write(
    site: Site, onnx: bytes, manifest: Mapping[str, Any], weights: Mapping[str, Tensor], training: Mapping[str, Any]
) -> str:
    digest = model_digest(manifest)
    stream_ = io.BytesIO()
    torch.save({key: value.contiguous() for key, value in weights.items()}, stream_)
    site.storage.put(f"models/{digest}/model.onnx", onnx)
    site.storage.put(f"models/{digest}/weights.pt", stream_.getvalue())
    site.storage.put(f"models/{digest}/training.json", _json(training))
    site.storage.put(f"models/{digest}/manifest.json", _json(manifest))  # last: a model with it is whole
    return digest


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, indent=1).encode() + b"\n"


def _record(site: Site, digest: str, manifest: Mapping[str, Any]) -> None:
    """The model's row in the lineage."""
    from inland import lake

    row = {
        "id": digest,
        "kind": "model",
        "parents": manifest["parents"],
        "origins": manifest["origins"],
        "developers": [site.creator] if site.creator else [],
        "classes": manifest["classes"],
        "station": "train",
        "revision": REVISION,
        "created_by": site.id,
        "details": json.dumps({"recipe": manifest["recipe"], "looks": manifest["looks"]}, sort_keys=True),
    }
    lake.append(site, "artifacts", [row])


def _ancestry(site: Site, dataset: Dataset, init: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Origins and classes of a model: training makes ``algorithm``, and remembers what it was trained on."""
    origins = set(dataset.origins)
    classes = {"algorithm", *(f"trained_on:{name}" for name in dataset.classes)}
    if init:
        manifest = read_model(site, init)[1]
        origins |= set(manifest["origins"])
        classes |= set(manifest["classes"])
    return tuple(sorted(origins)), tuple(sorted(classes))


def read_weights(site: Site, model: str) -> dict[str, Tensor]:
    """The weights of ``models/MODEL``. Raises BadInput where it has none."""
    try:
        data = site.storage.get(f"models/{model}/weights.pt")
    except NotStored as error:
        raise BadInput(
            f"this site has no weights of model {model!r} to train on from",
            place=f"models/{model}/weights.pt",
            remedy="bring the model in with its weights, or train from scratch",
        ) from error
    weights: dict[str, Tensor] = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    return weights


def _load(network: nn.Module, weights: Mapping[str, Tensor], model: str) -> None:
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise BadInput(
            f"the weights of model {model!r} do not fit the recipe's network",
            place=str(error).splitlines()[1].strip() if "\n" in str(error) else str(error),
            remedy="use the recipe (cameras, frames, depth) that it was trained with",
        ) from error


def _memory_limit() -> int:
    """Pictures up to a third of this machine's memory are held in it."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 3


@contextlib.contextmanager
def _distributed() -> Iterator[None]:
    """Join the other ranks where ``torchrun`` started us; each then takes its share of every batch."""
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1 or torch.distributed.is_initialized():
        yield
        return
    backend = (
        "gloo" if choose_device().type == "cpu" else torch.distributed.get_default_backend_for_device(choose_device())
    )
    torch.distributed.init_process_group(backend)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()
