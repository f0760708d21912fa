"""The network: pictures, speed and route in; curvature, acceleration and trajectory out. One dial: ``depth``.

Two layers of it: `Network` takes *prepared* pictures (cropped and shrunk by `prepare`, still uint8, as they lie
in the sample table) and gives scaled outputs; `Face` is what ships: pictures as recorded in, SI units out, the
preparation inside its graph. `prepare` is the same code in both, so training and driving see equal pictures.

It is no planner and holds no rule: what it asks for drives directly.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from inland.errors import BadInput
from inland.recipes import CameraInput, Recipe
from inland.world.state import ROUTE_HORIZON_M, TRAJECTORY_POINTS

OUTPUTS = 3 + 2 * TRAJECTORY_POINTS
"""Columns of a network's output: curvature, acceleration, steering, then the trajectory's x, y pairs."""
SCALES = (0.05, 2.0, 0.25, *(10.0, 2.0) * TRAJECTORY_POINTS)
"""One scaled unit of each column in 1/m, m/s2, 1 and m: about the spread of that quantity in town traffic."""
SPEED_SCALE_MPS = 10.0
_PATCH_PX = 4
_NEAR_M = 8.0


@dataclass(frozen=True, slots=True)
class Size:
    """What follows from ``depth``. ``stages`` are the channels after the patch stem and each halving.

    Depth 0 sees its frames stacked and is read out by linear layers: minutes on two cores. From depth 1 on each
    frame is encoded on its own by residual stages, and a transformer attends over all cameras and times.
    """

    stages: tuple[int, ...]
    blocks: int
    attention_layers: int
    width: int

    @classmethod
    def of(cls, depth: int) -> Size:
        """The sizes of one depth. Raises BadInput for a depth below 0."""
        if depth < 0:
            raise BadInput(f"depth {depth} is below 0", remedy="0 is the smallest network")
        if depth == 0:
            return cls(stages=(24, 48, 96), blocks=1, attention_layers=0, width=128)
        channels = 32 * (depth + 1)
        return cls((channels, 2 * channels, 4 * channels), 1 + depth, 2 * depth, 64 * (depth + 1))


def prepare(pictures: Tensor, camera: CameraInput) -> Tensor:
    """Crop, mirror and shrink uint8 (..., height, width, 3) as recorded to uint8 (..., h, w, 3).

    Shrinking is the mean over whole blocks of pixels, rounded: exact and equal on every machine.
    """
    kept = pictures[..., camera.top_px : camera.bottom_px, :, :]
    if camera.mirrored:
        kept = kept.flip(-2)
    if camera.shrink == 1:
        return kept
    height, width = camera.input_px
    shape = (*kept.shape[:-3], height, camera.shrink, width, camera.shrink, 3)
    blocks = kept[..., : height * camera.shrink, : width * camera.shrink, :].reshape(shape)
    return blocks.float().mean((-4, -2)).round().to(torch.uint8)


def _computed_in(device: torch.device) -> torch.dtype:
    """What a matrix product is computed in here: autocast alone would turn bytes into float32 on the way."""
    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else torch.float32


class _Convolution(nn.Module):
    """3x3 convolution, normalisation, ReLU."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(self.convolution(x)))


class _Residual(nn.Module):
    """Two 3x3 convolutions around a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _Convolution(channels, channels, 1)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)  # begins as the identity: deep ones train from the first step

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.norm(self.second(self.first(x))))


class _Encoder(nn.Module):
    """Pictures of one kind of camera to a grid of features; the route says what to look for (FiLM)."""

    def __init__(self, frames: int, size: Size, halve: bool) -> None:
        super().__init__()
        stages = tuple(c // 2 for c in size.stages) if halve else size.stages
        # A patch embedding is one matrix product: on a CPU far cheaper than a strided convolution on 3 channels.
        self.stem = nn.Linear(frames * _PATCH_PX * _PATCH_PX * 3, stages[0])
        self.stem_norm = nn.BatchNorm2d(stages[0])
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(stages):
            layers.append(_Convolution(before, after, 2))
            layers += (
                [_Residual(after) for _ in range(size.blocks)]
                if size.attention_layers
                else [_Convolution(after, after, 1) for _ in range(size.blocks)]
            )
        self.layers = nn.Sequential(*layers)
        self.route = nn.Linear(5, 2 * stages[-1])
        self.channels = stages[-1]

    def forward(self, pictures: Tensor, route: Tensor, jitter: Tensor | None) -> Tensor:
        """uint8 (B, T, h, w, 3) -> (B, channels, h / 16, w / 16), T frames stacked."""
        batch, frames, height, width, _ = pictures.shape
        grid = (height // _PATCH_PX, width // _PATCH_PX)
        patches = pictures[:, :, : grid[0] * _PATCH_PX, : grid[1] * _PATCH_PX].reshape(
            batch, frames, grid[0], _PATCH_PX, grid[1], _PATCH_PX, 3
        )
        patches = patches.permute(0, 2, 4, 1, 3, 5, 6).reshape(batch, grid[0], grid[1], -1)
        # Normalisation and jitter are affine, so they are applied to the stem's few outputs and not to the
        # pixels: (contrast (p - 128) / 64 + brightness) W = contrast (p W / 64) + (brightness - 2 contrast) 1W.
        weight = self.stem.weight
        x = functional.linear(patches.to(_computed_in(patches.device)), weight / 64.0)
        if jitter is None:
            x = x + (self.stem.bias - 2.0 * weight.sum(1))
        else:
            contrast, brightness = jitter.view(-1, 1, 1, 2).chunk(2, -1)
            x = x * contrast + ((brightness - 2.0 * contrast) * weight.sum(1) + self.stem.bias)
        x = x.permute(0, 3, 1, 2)  # already lies channels-last in memory
        x = self.layers(functional.relu(self.stem_norm(x)))
        gain, shift = self.route(route).unsqueeze(-1).unsqueeze(-1).chunk(2, 1)
        return functional.relu(x * (1.0 + gain) + shift)


class _Attention(nn.Module):
    """One pre-norm transformer layer over (B, N, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // 32)
        self.norm_in, self.norm_out = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, count, width = x.shape
        parts = self.qkv(self.norm_in(x)).view(batch, count, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        seen = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.mix(seen.transpose(1, 2).reshape(batch, count, width))
        return x + cast(Tensor, self.down(functional.gelu(self.up(self.norm_out(x)))))


class Network(nn.Module):
    """Prepared pictures, speed and route to scaled outputs (B, OUTPUTS).

    A camera that is not present in a sample is replaced by a learned stand-in for its features; a speed that is
    NaN is unknown; a route of zeros is unknown. The last layer starts at zero, so that an output for which the
    data have no target stays exactly zero.
    """

    def __init__(self, cameras: Sequence[CameraInput], frames: int, depth: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        size = Size.of(depth)
        self.cameras = tuple(cameras)
        self.frames = frames
        self.attends = size.attention_layers > 0
        self.encoders = nn.ModuleDict()
        self.readouts = nn.ModuleDict()
        self.missing = nn.ParameterDict()
        features = 0
        for index, camera in enumerate(self.cameras):
            height, width = (-(-(side // _PATCH_PX) // 4) for side in camera.input_px)
            halve = camera.encoder != self.cameras[0].encoder
            if camera.encoder not in self.encoders:
                stacked = 1 if self.attends else frames
                self.encoders[camera.encoder] = _Encoder(stacked, size, halve and not self.attends)
            encoder = cast(_Encoder, self.encoders[camera.encoder])
            if self.attends:
                self.readouts[camera.name] = nn.Linear(encoder.channels, size.width)
                place = 0.02 * torch.randn(frames, height * width, size.width)
                self.missing[camera.name] = nn.Parameter(torch.zeros(1, 1, size.width))
                self.register_parameter(f"place_{index}", nn.Parameter(place))
            else:
                thin, out = (16, size.width // 2) if halve else (32, size.width)
                if camera.encoder not in self.readouts:
                    self.readouts[camera.encoder] = nn.Sequential(
                        nn.Conv2d(encoder.channels, thin, 1), nn.ReLU(), nn.Flatten(),
                        nn.Linear(thin * height * width, out), nn.ReLU(),
                    )  # fmt: skip
                self.missing[camera.name] = nn.Parameter(torch.zeros(1, out))
                features += out
        self.ego = nn.Sequential(nn.Linear(8, size.width // 2), nn.ReLU())
        if self.attends:
            self.query = nn.Linear(size.width // 2, size.width)
            self.attention = nn.ModuleList(_Attention(size.width) for _ in range(size.attention_layers))
            features = size.width
        self.dropout = nn.Dropout(dropout)
        self.trunk = nn.Sequential(
            nn.Linear(features + size.width // 2, size.width), nn.ReLU(),
            nn.Linear(size.width, size.width), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(size.width, OUTPUTS)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(
        self,
        pictures: Mapping[str, Tensor],
        present: Mapping[str, Tensor],
        speed_mps: Tensor,
        route: Tensor,
        jitter: Tensor | None = None,
    ) -> Tensor:
        """``pictures[name]`` uint8 (B, T, h, w, 3), ``present[name]`` bool (B,), speed (B, 1), route (B, 5).

        Empty ``pictures`` means that every camera is missing: an ego-only network, without the cost of looking.
        ``jitter`` (B, 2) is the training's contrast and brightness.
        """
        known = torch.isfinite(speed_mps)
        speed = torch.where(known, speed_mps / SPEED_SCALE_MPS, torch.zeros_like(speed_mps))
        # The last metres to a junction decide when a turn begins: a second, finer scale of the same distance.
        near = torch.tanh(route[:, 4:] * (ROUTE_HORIZON_M / _NEAR_M))
        ego = self.ego(torch.cat([speed, known.to(speed.dtype), route, near], 1))
        parts = [self._look(i, camera, pictures, present, route, jitter) for i, camera in enumerate(self.cameras)]
        if self.attends:
            tokens = torch.cat([self.query(ego).unsqueeze(1), *parts], 1)
            for layer in self.attention:
                tokens = layer(tokens)
            parts = [tokens[:, 0]]
        return cast(Tensor, self.head(self.trunk(torch.cat([*(self.dropout(part) for part in parts), ego], 1))))

    def _look(
        self,
        index: int,
        camera: CameraInput,
        pictures: Mapping[str, Tensor],
        present: Mapping[str, Tensor],
        route: Tensor,
        jitter: Tensor | None,
    ) -> Tensor:
        missing: Tensor = self.missing[camera.name]
        place: Tensor | None = getattr(self, f"place_{index}") if self.attends else None
        if camera.name not in pictures:
            if place is not None:
                missing = missing + place.flatten(0, 1)
            return missing.expand(route.shape[0], *missing.shape[1:])
        shown = pictures[camera.name]
        if camera.mirrored:
            route = route[:, [0, 3, 2, 1, 4]]  # what is left in the mirror is right on the road
        encoder = self.encoders[camera.encoder]
        if place is None:
            seen: Tensor = self.readouts[camera.encoder](encoder(shown, route, jitter))
            return torch.where(present[camera.name].unsqueeze(1), seen, missing)
        each = shown.flatten(0, 1).unsqueeze(1)  # every frame on its own
        repeated = None if jitter is None else self._for_each_frame(jitter)
        grid = encoder(each, self._for_each_frame(route), repeated)
        tokens: Tensor = self.readouts[camera.name](grid.flatten(2).transpose(1, 2))
        tokens = tokens.reshape(route.shape[0], -1, tokens.shape[-1])
        return torch.where(present[camera.name].view(-1, 1, 1), tokens, missing) + place.flatten(0, 1)

    def _for_each_frame(self, of_sample: Tensor) -> Tensor:
        """(B, C) -> (B * T, C); `repeat_interleave` would fix the batch size at export."""
        return of_sample.unsqueeze(1).expand(-1, self.frames, -1).flatten(0, 1)


class Face(nn.Module):
    """What ships: pictures as recorded in, SI units out; crop, mirror, shrink and stacking are in the graph.

    ``forward(*pictures, speed_mps, route)`` takes uint8 (B, T, height, width, 3) in the order of ``cameras`` and
    gives ``curvature_1pm`` (B,), ``acceleration_mps2`` (B,), ``trajectory_m`` (B, 6, 2) in the rig frame and
    ``steering_normalised`` (B,). A camera whose pictures are all zero is missing.
    """

    def __init__(self, network: nn.Module, cameras: Sequence[CameraInput]) -> None:
        super().__init__()
        self.network = network
        self.cameras = tuple(cameras)
        self.register_buffer("scales", torch.tensor(SCALES))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One batch of pictures as recorded."""
        *shown, speed_mps, route = inputs
        pictures, present = {}, {}
        for camera, picture in zip(self.cameras, shown, strict=True):
            pictures[camera.name] = prepare(picture, camera)
            present[camera.name] = pictures[camera.name].flatten(1).amax(1) > 0
        out = self.network(pictures, present, speed_mps, route) * self.scales
        return out[:, 0], out[:, 1], out[:, 3:].reshape(-1, TRAJECTORY_POINTS, 2), out[:, 2]


def make_network(recipe: Recipe) -> nn.Module:
    """The house's own network of a recipe."""
    return Network(recipe.cameras, recipe.frames, recipe.depth, recipe.feature_dropout)


def build(recipe: Recipe) -> nn.Module:
    """The recipe's network with seeded weights, channels-last. Raises BadInput for a bad ``make_model``.

    A user's own module has the face of `Network.forward` and gives (B, OUTPUTS) in scaled units.
    """
    module_name, _, function_name = recipe.make_model.partition(":")
    try:
        make = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadInput(
            f"cannot import the recipe's model: {error}",
            place=f"make_model={recipe.make_model!r}",
            remedy="give module:function, the module being importable from here",
        ) from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = make(recipe)
    if not isinstance(network, nn.Module):
        raise BadInput(
            f"{recipe.make_model} gave {type(network).__name__}, not a torch.nn.Module",
            place="make_model",
            remedy="return a module with the face of inland.model.Network",
        )
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
