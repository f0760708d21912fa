from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from learning_clips import TINY, filled_site

from inland import lake
from inland.curate import curate
from inland.errors import BadInput, TrainingError
from inland.fit import fit, learning_rate_at, loss_of, mirrored, shifted
from inland.model import OUTPUTS, SCALES, build
from inland.openloop import commands_of, constant_answers, constant_table, mean_absolute_errors
from inland.recipes import LossWeights
from inland.samples import Batch, SampleTable, open_samples
from inland.train import TrainResult, train, weights_digest

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> SampleTable:
    site = filled_site(tmp_path_factory.mktemp("train") / "site", clips=5)
    found = open_samples(site, curate(site, TINY), TINY, processes=1)
    assert found.hold_in_memory(10**9)
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    folder = tmp_path_factory.mktemp("trained") / "site"
    site = filled_site(folder, clips=6)
    recipe = TINY.with_(steps=100)
    result = train(site, recipe, curate(site, recipe), processes=1)
    return folder, result


class Killed(BaseException):
    """Stands for a kill: nothing in the package catches it."""


def kill_at(step: int) -> Callable[[float, float, str], None]:
    def progress(done: float, total: float, what: str) -> None:
        if done == step:
            raise Killed

    return progress


def test_a_run_killed_in_mid_epoch_and_run_again_ends_with_bit_identical_weights(table: SampleTable) -> None:
    whole = fit(build(TINY), table, TINY, device=CPU)
    kept: list[bytes] = []
    with pytest.raises(Killed):
        fit(build(TINY), table, TINY, device=CPU, save=kept.append, progress=kill_at(17))
    assert len(kept) == 1  # at step 10; steps 11 to 17 are lost and done again
    again = fit(build(TINY), table, TINY, device=CPU, load=lambda: kept[-1])
    assert weights_digest(again.weights) == weights_digest(whole.weights)
    assert again.curve == whole.curve
    other = fit(build(TINY), table, TINY.with_(seed=2), device=CPU)
    assert weights_digest(other.weights) != weights_digest(whole.weights)


def test_who_looks_learns_to_steer_and_who_does_not_cannot(trained: tuple[Path, TrainResult]) -> None:
    _, result = trained
    error = {name: found["curvature_1pm"] for name, found in result.open_loop.items()}
    assert error["driver"] is not None
    assert error["ego_only"] is not None
    assert error["constant"] is not None
    assert error["driver"] < 0.2 * error["constant"]  # measured: 0.02 to 0.1
    assert error["ego_only"] > 0.5 * error["constant"]
    assert result.open_loop["driver"]["steering_normalised"] is None
    assert result.held_out_frames == 40


def test_a_model_knows_what_it_comes_of_and_drives(trained: tuple[Path, TrainResult]) -> None:
    from inland.drivers import open_constant, open_model
    from inland.site import open_site

    folder, result = trained
    site = open_site(folder)
    driver, blind = open_model(site, result.model), open_model(site, result.ego_only, "ego_only")
    assert driver.digest == result.model
    assert driver.cameras == ("front", "left")
    assert blind.cameras == ()
    assert open_constant(site, result.model).digest
    rows = {row["id"]: row for row in lake.scan(site, "artifacts").to_pylist()}
    dataset = next(row for row in rows.values() if row["kind"] == "dataset")
    assert rows[result.model]["parents"] == [dataset["id"]]
    assert rows[result.model]["classes"] == ["algorithm", "trained_on:imagery"]
    assert rows[result.model]["origins"] == ["us"]
    training = json.loads(site.storage.get(f"models/{result.model}/training.json"))
    assert training["loss"][0][1] > training["loss"][-1][1]
    assert not list(site.storage.list("scratch/checkpoints"))


def test_a_finished_training_is_remembered(trained: tuple[Path, TrainResult]) -> None:
    from inland.site import open_site

    folder, result = trained
    site = open_site(folder)
    recipe = TINY.with_(steps=100)

    def never(done: float, total: float, what: str) -> None:
        raise AssertionError(what)

    assert train(site, recipe, curate(site, recipe), progress=never) == result


def test_training_goes_on_from_another_models_weights(trained: tuple[Path, TrainResult]) -> None:
    from inland.site import open_site

    folder, result = trained
    site = open_site(folder)
    recipe = TINY.with_(steps=4, learning_rate=1e-5, warmup_steps=1)
    tuned = train(site, recipe, curate(site, recipe), init=result.model, ego_only=False, processes=1)
    assert tuned.ego_only == ""
    before, after = (r.open_loop["driver"]["curvature_1pm"] for r in (result, tuned))
    assert before is not None
    assert after == pytest.approx(before, rel=0.3)
    with pytest.raises(BadInput, match=r"weights\.pt"):
        train(site, recipe, curate(site, recipe), init="0" * 32, processes=1)
    other = recipe.with_(frames=1)
    with pytest.raises(BadInput, match="do not fit"):
        train(site, other, curate(site, other), init=result.model, processes=1)


def test_a_killed_train_station_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    site = filled_site(tmp_path / "site", clips=3)
    dataset = curate(site, TINY)
    seen: list[float] = []

    def killed(done: float, total: float, what: str) -> None:
        if what == "train driver" and done == 25:
            raise Killed

    def watch(done: float, total: float, what: str) -> None:
        if what == "train driver":
            seen.append(done)

    with pytest.raises(Killed):
        train(site, TINY, dataset, ego_only=False, processes=1, progress=killed)
    again = train(site, TINY, dataset, ego_only=False, processes=1, progress=watch)
    assert seen[0] == 21
    untouched = filled_site(tmp_path / "other", clips=3)
    assert train(untouched, TINY, curate(untouched, TINY), ego_only=False, processes=1).model == again.model


def test_two_ranks_under_torchrun_train_one_model(tmp_path: Path) -> None:
    script = tmp_path / "ranks.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            from learning_clips import TINY
            from inland.curate import curate
            from inland.site import open_site
            from inland.train import train
            if __name__ == "__main__":
                site = open_site(sys.argv[1])
                recipe = TINY.with_(steps=4)
                from inland.curate import read_dataset
                train(site, recipe, read_dataset(site, sys.argv[2]), ego_only=False, processes=1)
            """
        )
    )
    site = filled_site(tmp_path / "site", clips=3)
    dataset = curate(site, TINY.with_(steps=4))
    here = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{here}:{here.parent}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    done = subprocess.run(
        [*command, site.root, dataset.id], env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    models = [row for row in lake.scan(site, "artifacts").to_pylist() if row["kind"] == "model"]
    assert len(models) == 1
    assert site.storage.exists(f"models/{models[0]['id']}/manifest.json")


def test_a_masked_target_moves_nothing() -> None:
    out = torch.zeros(4, OUTPUTS, requires_grad=True)
    targets = torch.full((4, OUTPUTS), float("nan"))
    targets[0, 0] = 0.05
    loss_of(out, targets, TINY).backward()  # type: ignore[no-untyped-call]
    assert out.grad is not None
    moved = out.grad != 0
    assert moved.nonzero().tolist() == [[0, 0]]
    assert float(loss_of(out, torch.full((4, OUTPUTS), float("nan")), TINY).detach()) == 0.0


def test_the_loss_is_hubers_in_scaled_units() -> None:
    # curvature off by one scaled unit (0.05 1/m), beta 0.1: 1 - 0.1 / 2
    out = torch.zeros(1, OUTPUTS)
    targets = torch.full((1, OUTPUTS), float("nan"))
    targets[0, 0] = 0.05
    assert float(loss_of(out, targets, TINY)) == pytest.approx(0.95)
    # acceleration off by 0.2 m/s2 = 0.1 scaled, beta 0.25: 0.5 * 0.01 / 0.25
    targets[0, 0], targets[0, 1] = float("nan"), 0.2
    assert float(loss_of(out, targets, TINY)) == pytest.approx(0.02)
    half = TINY.with_(loss_weights=LossWeights(acceleration=0.5))
    assert float(loss_of(out, targets, half)) == pytest.approx(0.01)


def test_a_loss_that_is_no_number_stops_with_a_remedy(table: SampleTable) -> None:
    network = build(TINY)
    with torch.no_grad():
        network.head.bias.fill_(float("inf"))  # type: ignore[union-attr]
    with pytest.raises(TrainingError, match="lower the learning rate"):
        fit(network, table, TINY.with_(steps=2), device=CPU)


def test_the_learning_rate_warms_up_and_comes_down() -> None:
    recipe = TINY.with_(steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [learning_rate_at(recipe, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0.01 <= rates[-1] < 0.02


def batch_of(pictures: np.ndarray) -> Batch:
    count = len(pictures)
    route = np.tile(np.float32([0, 1, 0, 0, 0.5]), (count, 1))
    targets = np.tile(np.arange(1, OUTPUTS + 1, dtype=np.float32), (count, 1))
    return Batch(
        np.arange(count), {"front": pictures}, np.ones((count, 1), bool), np.ones(count, np.float32), route, targets
    )


def test_a_mirror_turns_left_into_right_everywhere() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 2, 4, 6, 3), np.uint8)
    seen = mirrored(batch_of(pictures), np.array([True, False]))
    np.testing.assert_array_equal(seen.pictures["front"][0], pictures[0, :, :, ::-1])
    np.testing.assert_array_equal(seen.pictures["front"][1], pictures[1])
    assert seen.route[0].tolist() == [0, 0, 0, 1, 0.5]
    assert seen.targets[0, :5].tolist() == [-1, 2, -3, 4, -5]
    assert seen.targets[1, :5].tolist() == [1, 2, 3, 4, 5]


def test_a_shift_moves_pictures_and_repeats_their_edge() -> None:
    pictures = np.arange(24, dtype=np.uint8).reshape(1, 1, 2, 4, 3)
    seen = shifted(batch_of(pictures), np.array([[0, 1]])).pictures["front"]
    np.testing.assert_array_equal(seen[0, 0, :, 1:], pictures[0, 0, :, :3])
    np.testing.assert_array_equal(seen[0, 0, :, 0], pictures[0, 0, :, 0])


def test_open_loop_errors_are_means_over_known_targets() -> None:
    nan = float("nan")
    targets = np.full((2, OUTPUTS), nan, np.float32)
    targets[:, 0] = [0.1, 0.3]
    targets[0, 3:7] = [1, 1, 2, 2]
    answers = np.zeros((2, OUTPUTS), np.float32)
    answers[0, 3:7] = [1, 1, 5, 6]
    error = mean_absolute_errors(answers, targets)
    assert error["curvature_1pm"] == pytest.approx(0.2)
    assert error["acceleration_mps2"] is None
    assert error["trajectory_m"] == pytest.approx((0 + math.hypot(3, 4)) / 2)


def test_the_constant_is_the_mean_of_each_command() -> None:
    route = np.float32([[0, 1, 0, 0, 0.2], [0, 1, 0, 0, 0.1], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]])
    targets = np.full((4, OUTPUTS), np.nan, np.float32)
    targets[:, 0] = [0.1, 0.2, -0.1, 0.4]
    commands = commands_of(route)
    assert commands.tolist() == [1, 1, 3, -1]
    table = constant_table(commands, targets)
    assert table[1][0] == pytest.approx(0.15)
    assert table[-1][0] == pytest.approx(0.15)
    answers = constant_answers(table, np.array([3, 2]))
    assert answers[:, 0].tolist() == pytest.approx([-0.1, 0.15])


def test_scales_name_every_output() -> None:
    assert len(SCALES) == OUTPUTS


def test_bfloat16_is_used_only_where_asked_and_learns_the_same(
    table: SampleTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = TINY.with_(steps=60)
    plain = fit(build(recipe), table, recipe.with_(precision="float32"), device=CPU)
    monkeypatch.setattr("inland.fit.bfloat16_in_hardware", lambda _: False)
    without = fit(build(recipe), table, recipe, device=CPU)
    assert weights_digest(without.weights) == weights_digest(plain.weights)
    monkeypatch.setattr("inland.fit.bfloat16_in_hardware", lambda _: True)
    halved = fit(build(recipe), table, recipe, device=CPU)
    assert weights_digest(halved.weights) != weights_digest(plain.weights)
    assert {w.dtype for w in halved.weights.values() if w.is_floating_point()} == {torch.float32}
    assert halved.curve[-1][1] < 0.5 * halved.curve[0][1]
    assert halved.curve[-1][1] == pytest.approx(plain.curve[-1][1], rel=0.25)
