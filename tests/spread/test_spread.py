"""Spreading: the same results in the same order by every way, errors that name their item, no orphans."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inland import spread
from inland.errors import BadInput, InlandError, LogRejected
from inland.spread import WORKER_ENVIRONMENT, Backend

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install 'inland[ray]'"
)
BACKENDS = pytest.mark.parametrize("backend", ["processes", pytest.param("ray", marks=needs_ray)])


def square(n: int) -> int:
    return n * n


def slow_first(n: int) -> int:
    time.sleep(0.3 if n == 0 else 0)
    return n


def refuse_three(n: int) -> int:
    if n == 3:
        raise LogRejected("implausible clock", "three", place="here", remedy="count again")
    return n


def die_at_two(n: int) -> int:
    if n == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return n


def environment(_: int) -> tuple[int, dict[str, str | None]]:
    return os.getpid(), {name: os.environ.get(name) for name in WORKER_ENVIRONMENT}


_prepared = ""


def prepare() -> None:
    global _prepared  # noqa: PLW0603
    _prepared = "yes"


def prepared(_: int) -> str:
    return _prepared


@BACKENDS
def test_results_come_in_the_order_of_the_items(backend: Backend) -> None:
    assert list(spread.map(square, range(20), processes=2, backend=backend)) == [n * n for n in range(20)]
    assert list(spread.map(slow_first, range(5), processes=2, backend=backend)) == [0, 1, 2, 3, 4]
    assert list(spread.map(square, [], processes=2, backend=backend)) == []


@BACKENDS
def test_an_error_is_raised_as_it_is_and_names_its_item(backend: Backend) -> None:
    results = spread.map(refuse_three, range(10), processes=2, backend=backend)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LogRejected) as caught:
        next(results)
    assert (caught.value.reason, caught.value.place, caught.value.remedy) == (
        "implausible clock",
        "here",
        "count again",
    )
    assert any("item 3" in note for note in caught.value.__notes__)


@BACKENDS
def test_workers_have_one_thread_each_and_are_prepared_once(backend: Backend) -> None:
    found = list(spread.map(environment, range(6), processes=2, backend=backend))
    assert all(variables == dict(WORKER_ENVIRONMENT) for _, variables in found)
    assert os.getpid() not in {pid for pid, _ in found}
    assert set(spread.map(prepared, range(4), processes=2, backend=backend, initializer=prepare)) == {"yes"}


@BACKENDS
def test_a_worker_that_dies_is_a_clear_error(backend: Backend) -> None:
    with pytest.raises(InlandError, match="a worker process died"):
        list(spread.map(die_at_two, range(4), processes=2, backend=backend))


def test_our_own_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("LP_NUM_THREADS", raising=False)
    list(spread.map(square, range(3), processes=2))
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "LP_NUM_THREADS" not in os.environ


def test_items_are_read_only_a_little_ahead() -> None:
    read = 0

    def endless() -> Iterator[int]:
        nonlocal read
        while True:
            read += 1
            yield read

    results = spread.map(square, endless(), processes=2)
    assert next(results) == 1
    assert read <= 2 * (1 + spread.AHEAD) + 1
    results.close()  # type: ignore[attr-defined]


def test_one_process_works_here_with_the_same_errors() -> None:
    assert next(spread.map(environment, [0], processes=1))[0] == os.getpid()
    with pytest.raises(LogRejected) as caught:
        list(spread.map(refuse_three, range(5), processes=1))
    assert any("item 3" in note for note in caught.value.__notes__)


def test_an_unknown_way_is_bad_input_by_argument_or_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(spread.SETTING, "pigeon post")
    with pytest.raises(BadInput, match="pigeon post"):
        spread.map(square, [1])
    with pytest.raises(BadInput, match="carrier pigeon"):
        spread.map(square, [1], backend="carrier pigeon")  # type: ignore[arg-type]


ORPHANS = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
import test_spread
from inland import spread
if __name__ == "__main__":
    for pid in spread.map(test_spread.wait_and_tell, range(4), processes=2):
        print(pid, flush=True)
"""


def wait_and_tell(n: int) -> int:
    time.sleep(0.0 if n < 2 else 30.0)
    return os.getpid()


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(ORPHANS)
    variables = {**os.environ, "PYTHONPATH": str(Path(spread.__file__).parents[1])}
    command = [sys.executable, str(script), str(Path(__file__).parent)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=variables)
    assert parent.stdout is not None
    workers = {int(parent.stdout.readline()) for _ in range(2)}
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        if not any(_runs(pid) for pid in workers):
            return
        time.sleep(0.05)
    pytest.fail("a worker outlived its parent")


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
