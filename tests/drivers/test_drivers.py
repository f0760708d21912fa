from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from learning_clips import TINY

from inland.drivers import ConstantDriver, ModelDriver, Observation, open_model, route_features
from inland.errors import BadInput, SignatureInvalid
from inland.export import manifest_of, model_digest, to_onnx
from inland.model import build
from inland.world.state import Command, RouteHint

RECIPE = TINY.with_(frames=3)
HINT = RouteHint(Command.LEFT, 30.0)


@pytest.fixture(scope="module")
def shipped() -> tuple[bytes, dict, torch.nn.Module]:
    network = build(RECIPE)
    torch.manual_seed(1)
    torch.nn.init.normal_(network.head.weight, std=0.3)
    onnx = to_onnx(network, RECIPE)
    manifest = manifest_of(
        onnx, RECIPE, looks=True, weights_sha256="", input_digest="", constant={}, origins=(), classes=(), parents=()
    )
    return onnx, manifest, network.eval()


def seen(k: int, cameras: tuple[str, ...] = ("front", "left")) -> Observation:
    """The k-th tenth of a second; each picture has a colour of its own."""
    sizes = {"front": (48, 64), "left": (24, 32)}
    images = {name: np.full((*sizes[name], 3), 20 + 5 * k, np.uint8) for name in cameras}
    return Observation(k * 100_000_000, images, 4.0 + 0.1 * k, HINT)


def asked_of_torch(network: torch.nn.Module, observation: Observation, at: list[int], left: bool = True) -> float:
    stack = {name: [seen(k).images[name] for k in at] for name in ("front", "left")}
    pictures = {
        "front": torch.from_numpy(np.stack(stack["front"])[None, :, 8:40]),
        "left": torch.from_numpy(np.stack(stack["left"])[None, :, ::2, ::2].copy()),
    }
    present = {"front": torch.tensor([True]), "left": torch.tensor([left])}
    speed = torch.tensor([[observation.speed_mps]], dtype=torch.float32)
    with torch.inference_mode():
        out = network(pictures, present, speed, torch.from_numpy(route_features(1, 30.0))[None])
    return float(out[0, 0]) * 0.05


def test_the_stack_at_the_wheel_is_the_stack_in_training(shipped: tuple) -> None:
    onnx, manifest, network = shipped
    driver = ModelDriver(onnx, manifest)
    driver.reset(0)
    for k in range(14):
        control = driver.drive(seen(k))
        at = [max(k - 10, 0), max(k - 5, 0), k]  # 1.0 s and 0.5 s ago, or the first frame
        assert control.curvature_1pm == pytest.approx(asked_of_torch(network, seen(k), at), abs=1e-5)
        assert control.trajectory_m is not None
        assert control.trajectory_m.shape == (6, 2)


def test_a_new_episode_knows_nothing_of_the_last(shipped: tuple) -> None:
    onnx, manifest, _ = shipped
    driver = ModelDriver(onnx, manifest)
    first = driver.drive(seen(0)).curvature_1pm
    for k in range(1, 8):
        driver.drive(seen(k))
    driver.reset(0)
    assert driver.drive(seen(0)).curvature_1pm == first


def test_a_missing_camera_drives_on_with_the_stand_in(shipped: tuple) -> None:
    onnx, manifest, network = shipped
    driver = ModelDriver(onnx, manifest)
    control = driver.drive(seen(3, cameras=("front",)))
    assert control.curvature_1pm == pytest.approx(asked_of_torch(network, seen(3), [3, 3, 3], left=False), abs=1e-5)


def test_an_ego_only_driver_needs_no_camera_and_no_picture_changes_it(shipped: tuple) -> None:
    onnx, manifest, _ = shipped
    driver = ModelDriver(onnx, {**manifest, "looks": False}, "ego_only")
    assert driver.cameras == ()
    blind = driver.drive(Observation(0, {}, 4.0, HINT)).curvature_1pm
    assert driver.drive(Observation(0, seen(0).images, 4.0, HINT)).curvature_1pm == blind


def test_a_file_that_is_not_the_manifests_does_not_drive(shipped: tuple) -> None:
    onnx, manifest, _ = shipped
    with pytest.raises(SignatureInvalid):
        ModelDriver(onnx + b" ", manifest)
    with pytest.raises(BadInput, match="format"):
        ModelDriver(onnx, {**manifest, "format": "other/2"})


def test_pictures_of_another_size_are_refused(shipped: tuple) -> None:
    onnx, manifest, _ = shipped
    with pytest.raises(BadInput, match="32x24, the model takes 64x48"):
        ModelDriver(onnx, manifest).drive(Observation(0, {"front": np.zeros((24, 32, 3), np.uint8)}, 1.0, HINT))


def test_a_driver_is_named_by_its_manifest(shipped: tuple) -> None:
    onnx, manifest, _ = shipped
    assert ModelDriver(onnx, manifest).digest == model_digest(manifest)
    assert ModelDriver(onnx, {**manifest, "looks": False}).digest != model_digest(manifest)


def test_the_constant_answers_each_command_with_its_own_mean() -> None:
    driver = ConstantDriver({-1: (0.0, 0.1), 1: (0.05, -0.2)})
    left = driver.drive(Observation(0, {}, 1.0, HINT))
    ahead = driver.drive(Observation(0, {}, 1.0, RouteHint(Command.STRAIGHT, 3.0)))
    assert (left.curvature_1pm, left.acceleration_mps2) == (0.05, -0.2)
    assert (ahead.curvature_1pm, ahead.acceleration_mps2) == (0.0, 0.1)
    assert driver.cameras == ()


def test_route_features_are_zero_where_the_log_has_no_navigation() -> None:
    assert not route_features(float("nan"), 3.0).any()
    assert route_features(2.0, 30.0).tolist() == [0, 0, 1, 0, 0.5]
    assert route_features(0.0, 900.0).tolist() == [1, 0, 0, 0, 1]


def test_a_model_that_the_site_lacks_is_named(tmp_path: Path) -> None:
    from inland.site import init_site

    with pytest.raises(BadInput, match="no model 'abc'"):
        open_model(init_site(tmp_path / "s", "us"), "abc")
