"""One process a device, or several that share the cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from threading import Thread
from typing import Any, TypeVar

from landscape.run.executors.interface import Make, WorkerLost

T = TypeVar("T")

_here: dict[str, Any] = {}  # of a worker's process: what makes the worker, and the worker


class ProcessExecutor:
    """Spawned processes, each with its own worker; one that dies takes no other with it."""

    ahead = 2  # the next call waits in the process, not in the driver

    def __init__(self, makes: Sequence[Make]) -> None:
        self._makes = list(makes)
        self.n_workers = len(self._makes)
        self._pools: list[ProcessPoolExecutor | None] = [None] * self.n_workers

    def submit(self, worker: int, function: Callable[..., T], /, *args: Any) -> Future[T]:
        """Queue a call for the process, which is spawned unless it lives."""
        pool = self._pools[worker]
        if pool is None:
            pool = self._pools[worker] = ProcessPoolExecutor(
                1,
                multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=(self._makes[worker],),
            )
        try:
            return pool.submit(_call, function, *args)
        except BrokenProcessPool as error:
            future = Future[T]()
            future.set_exception(error)
            return future

    def result(self, worker: int, future: Future[T]) -> T:
        """What a call returned or raised."""
        try:
            return future.result()
        except BrokenProcessPool:
            self._pools[worker] = None
            raise WorkerLost("its process ended") from None

    def shutdown(self) -> None:
        """Kill the processes: what they were doing is done again by the next run."""
        for pool in self._pools:
            if pool is not None:
                processes = list((pool._processes or {}).values())
                pool.shutdown(wait=False, cancel_futures=True)
                for process in processes:
                    process.kill()
                    process.join()
        self._pools = [None] * self.n_workers


def _begin(make: Make) -> None:
    # Ctrl-C is the driver's business, which ends its workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_leave_with_parent, daemon=True).start()
    _here["make"] = make


def _leave_with_parent() -> None:
    """A driver that was killed cannot end its workers."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _call(function: Callable[..., T], *args: Any) -> T:
    if "worker" not in _here:  # not in the initializer, whose errors only break the pool
        _here["worker"] = _here["make"]()
    return function(_here["worker"], *args)
