from __future__ import annotations

import numpy as np
import pytest
import torch
from learning_clips import TINY

from inland.errors import BadInput, TrainingError
from inland.export import OUTPUT_NAMES, example_inputs, to_onnx
from inland.model import OUTPUTS, Face, Network, Size, build
from inland.recipes import RECIPES, Recipe, get


def random_weights(recipe: Recipe) -> torch.nn.Module:
    network = build(recipe).eval()
    torch.manual_seed(3)
    torch.nn.init.normal_(network.head.weight, std=0.3)
    return network


def face_answers(recipe: Recipe, network: torch.nn.Module, inputs: dict) -> list[np.ndarray]:
    with torch.inference_mode():
        return [out.numpy() for out in Face(network, recipe.cameras).eval()(*map(torch.from_numpy, inputs.values()))]


@pytest.mark.parametrize("depth", [0, 1])
def test_the_onnx_file_agrees_with_torch_and_is_the_same_bytes_again(depth: int) -> None:
    import onnxruntime

    recipe = TINY.with_(depth=depth)
    network = random_weights(recipe)
    onnx = to_onnx(network, recipe)
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    for batch in (1, 7):
        inputs = example_inputs(recipe, batch, seed=40 + batch)
        wanted = face_answers(recipe, network, inputs)
        for ours, theirs in zip(wanted, session.run(list(OUTPUT_NAMES), inputs), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert [out.name for out in session.get_outputs()] == list(OUTPUT_NAMES)
    assert [i.name for i in session.get_inputs()] == ["front", "left", "speed_mps", "route"]
    if depth == 0:
        assert to_onnx(network, recipe) == onnx
    for trace in (b"site-packages", b"model.py", b"forward("):
        assert trace not in onnx  # nothing of the machine and the source that exported it


@pytest.mark.parametrize("depth", [0, 1])
def test_a_missing_camera_is_a_learned_stand_in_whatever_was_there(depth: int) -> None:
    recipe = TINY.with_(depth=depth)
    network = random_weights(recipe)
    for parameter in network.missing.values():
        torch.nn.init.normal_(parameter)
    inputs = example_inputs(recipe, 2, 0)
    inputs["left"][:] = 0
    blind = face_answers(recipe, network, inputs)
    with torch.inference_mode():
        pictures = {
            "front": torch.from_numpy(inputs["front"][:, :, 8:40]),
            "left": torch.randint(0, 256, (2, 2, 12, 16, 3)).to(torch.uint8),
        }
        present = {"front": torch.tensor([True, True]), "left": torch.tensor([False, False])}
        out = network(pictures, present, torch.from_numpy(inputs["speed_mps"]), torch.from_numpy(inputs["route"]))
    np.testing.assert_allclose(out[:, 0].numpy() * 0.05, blind[0], atol=1e-5)


def test_no_pictures_at_all_equals_all_cameras_missing() -> None:
    network = random_weights(TINY)
    inputs = example_inputs(TINY, 2, 0)
    for camera in TINY.cameras:
        inputs[camera.name][:] = 0
    with torch.inference_mode():
        out = network({}, {}, torch.from_numpy(inputs["speed_mps"]), torch.from_numpy(inputs["route"]))
    np.testing.assert_allclose(out[:, 0].numpy() * 0.05, face_answers(TINY, network, inputs)[0], atol=1e-6)


def test_an_unknown_speed_is_not_a_speed_of_zero() -> None:
    network = random_weights(TINY)
    inputs = example_inputs(TINY, 2, 0)
    inputs["speed_mps"][:] = np.nan
    unknown = face_answers(TINY, network, inputs)[1]
    inputs["speed_mps"][:] = 0
    assert np.isfinite(unknown).all()
    assert np.abs(unknown - face_answers(TINY, network, inputs)[1]).max() > 1e-4


def test_an_output_starts_at_exactly_zero() -> None:
    inputs = example_inputs(TINY, 2, 0)
    for answer in face_answers(TINY, build(TINY), inputs):
        assert not answer.any()


def test_the_dial_makes_larger_networks_and_nothing_else_is_needed() -> None:
    counts = [sum(p.numel() for p in build(TINY.with_(depth=depth)).parameters()) for depth in range(4)]
    assert counts == sorted(counts)
    assert counts[3] > 10 * counts[0]
    with pytest.raises(BadInput, match="below 0"):
        Size.of(-1)


def test_the_smallest_network_of_the_towns_rig_stays_small() -> None:
    assert 300_000 < sum(p.numel() for p in build(get("base")).parameters()) < 900_000


def test_weights_follow_from_the_recipes_seed_alone() -> None:
    torch.manual_seed(99)
    first = build(TINY).state_dict()
    torch.rand(3)
    again = build(TINY).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    other = build(TINY.with_(seed=2)).state_dict()
    assert not torch.equal(first["trunk.0.weight"], other["trunk.0.weight"])


class OwnNetwork(torch.nn.Module):
    """A user's own: one number from the mean of the front pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(1, OUTPUTS)

    def forward(self, pictures, present, speed_mps, route, jitter=None):
        return self.linear(
            pictures["front"].float().mean((1, 2, 3, 4)).unsqueeze(1) / 255 + 0 * route[:, :1] + 0 * speed_mps
        )


def make_own(recipe: Recipe) -> torch.nn.Module:
    return OwnNetwork()


class Branches(OwnNetwork):
    """Looks at its numbers to decide what to do: no graph can hold that."""

    def forward(self, pictures, present, speed_mps, route, jitter=None):
        return super().forward(pictures, present, speed_mps, route) * (2 if float(speed_mps.sum()) > 3 else 1)


def test_a_network_that_cannot_ship_is_refused_with_a_remedy() -> None:
    with pytest.raises(TrainingError, match="does not export"):
        to_onnx(Branches(), TINY)


def make_nothing(recipe: Recipe) -> str:
    return "no module"


def test_a_users_own_module_plugs_in_by_its_import_string() -> None:
    network = build(TINY.with_(make_model=f"{__name__}:make_own"))
    assert isinstance(network, OwnNetwork)


@pytest.mark.parametrize("broken", ["no.such.module:make", f"{__name__}:no_such", f"{__name__}:make_nothing", "words"])
def test_a_make_model_that_gives_no_module_is_refused_with_its_place(broken: str) -> None:
    with pytest.raises(BadInput, match="make_model"):
        build(TINY.with_(make_model=broken))


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_makes_a_network_that_answers_its_own_face(name: str) -> None:
    recipe = get(name)
    answers = face_answers(recipe, random_weights(recipe), {**example_inputs(recipe, 1, 0)})
    assert [answer.shape for answer in answers] == [(1,), (1,), (1, 6, 2), (1,)]
    assert isinstance(build(recipe), Network)


def test_a_recipe_that_does_not_exist_lists_those_that_do() -> None:
    with pytest.raises(BadInput, match="base, local"):
        get("bse")
    assert get("inland.recipes:base") == get("base")
    with pytest.raises(BadInput, match="cannot import"):
        get("no.such:recipe")
