"""How work spreads: spawned processes here, Ray by one setting. Nothing else knows which.

Workers are spawned, never forked, and get one thread each before they import anything heavy: two processes whose
libraries each take every core run many times slower than one.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Literal, TypeVar, cast

from inland.errors import BadInput, InlandError

Item = TypeVar("Item")
Result = TypeVar("Result")
Backend = Literal["processes", "ray"]

SETTING = "INLAND_SPREAD"
"""The one setting: ``ray`` in this environment variable spreads all work over Ray."""
WORKER_ENVIRONMENT: Mapping[str, str] = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "LP_NUM_THREADS": "1",  # Mesa's software renderer
    "LIBSUMO_AS_TRACI": "quiet",  # else libsumo prints on standard output where pyarrow is installed
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""What every worker finds in its environment before it imports anything."""
AHEAD = 2
"""Items in flight per process beyond the one that it works on: enough to keep it busy, few enough to hold."""


def map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    processes: int | None = None,
    backend: Backend | None = None,
    initializer: Callable[[], None] | None = None,
) -> Generator[Result, None, None]:
    """Yield ``function(item)`` for each item, in the order of the items, computed by ``processes`` workers.

    ``function`` and ``initializer`` (run once a worker) are module-level functions; items and results travel
    pickled. ``items`` is read only a little ahead, so it may be long. With one process the work is done here and
    the initializer is run here. ``backend`` defaults to the environment's `SETTING`, ``processes`` to the cores
    of this machine. An error of the function is raised as it is, with a note that names the item; later items
    may have been computed and are dropped. Close the generator to stop early and wait for the workers' end.
    Raises BadInput for another backend or a missing ray, InlandError where a worker died.
    """
    count = processes or len(os.sched_getaffinity(0))
    backend = backend or cast(Backend, os.environ.get(SETTING, "processes"))
    if backend == "ray":
        return _on_ray(function, items, count, initializer)
    if backend != "processes":
        raise BadInput(f"no way to spread work is called {backend!r}", remedy="use 'processes' or 'ray'")
    if count == 1:
        return _here(function, items, initializer)
    return _on_processes(function, items, count, initializer)


def _here(
    function: Callable[[Item], Result], items: Iterable[Item], initializer: Callable[[], None] | None
) -> Generator[Result, None, None]:
    if initializer is not None:
        initializer()
    for n, item in enumerate(items):
        try:
            result = function(item)
        except Exception as error:
            _name_item(error, n, item)
            raise
        yield result


def _on_processes(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    count: int,
    initializer: Callable[[], None] | None,
) -> Generator[Result, None, None]:
    numbered = enumerate(items)
    waiting: deque[tuple[int, Item, Future[Result]]] = deque()
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, initializer=_begin_worker, initargs=(initializer,))
    try:
        while True:
            for n, item in itertools.islice(numbered, count * (1 + AHEAD) - len(waiting)):
                # Workers start on demand, at submit: they must find the environment then.
                with _environment(WORKER_ENVIRONMENT):
                    waiting.append((n, item, pool.submit(function, item)))
            if not waiting:
                return
            n, item, future = waiting.popleft()
            try:
                result = future.result()
            except BrokenProcessPool as error:
                raise _worker_died(n, item) from error
            except Exception as error:
                _name_item(error, n, item)
                raise
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _on_ray(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    count: int,
    initializer: Callable[[], None] | None,
) -> Generator[Result, None, None]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # before the import: it reports home unless told otherwise
    try:
        import ray
    except ImportError as error:
        raise BadInput("ray is not installed", remedy="pip install 'inland[ray]', or use 'processes'") from error
    if not ray.is_initialized():
        # Spawned processes find our modules by sys.path; Ray's must be told.
        path = os.pathsep.join(entry for entry in sys.path if entry)
        ray.init(
            num_cpus=count,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
            runtime_env={"env_vars": {**WORKER_ENVIRONMENT, "PYTHONPATH": path}},
        )

    def work(item: Item) -> Result:
        if initializer is not None and initializer not in _initialized:
            initializer()
            _initialized.add(initializer)
        return function(item)

    remote = ray.remote(max_retries=0)(work)
    numbered = enumerate(items)
    waiting: deque[tuple[int, Item, Any]] = deque()
    while True:
        for n, item in itertools.islice(numbered, count * (1 + AHEAD) - len(waiting)):
            waiting.append((n, item, remote.remote(item)))
        if not waiting:
            return
        n, item, reference = waiting.popleft()
        try:
            result = ray.get(reference)
        except ray.exceptions.WorkerCrashedError as error:
            raise _worker_died(n, item) from error
        except ray.exceptions.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            _name_item(cause, n, item)
            raise cause from None
        yield result


_initialized: set[Callable[[], None]] = set()
"""Initializers that this Ray worker has run."""


def _begin_worker(initializer: Callable[[], None] | None) -> None:
    """Runs in a new worker: end with the parent (a killed one cannot say goodbye), then the caller's own part."""
    parent = multiprocessing.parent_process()

    def end_with_parent() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    if initializer is not None:
        initializer()


class _environment:  # noqa: N801  (a context manager, used as a word)
    """Set variables for the children that start meanwhile, and put the old values back."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in self._values}
        os.environ.update(self._values)

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _name_item(error: BaseException, n: int, item: object) -> None:
    error.add_note(f"while working on item {n}: {repr(item)[:200]}")


def _worker_died(n: int, item: object) -> InlandError:
    return InlandError(
        "a worker process died",
        place=f"item {n}: {repr(item)[:200]}",
        remedy="it was killed, or ran out of memory: free memory or use fewer processes, then run it again",
    )
