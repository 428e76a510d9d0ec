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

from landscape.run.executors.interface import Make, WorkerLost, nothing

T = TypeVar("T")

_here: dict[str, Any] = {}  # of a worker's process: what makes the worker, and the worker


class ProcessExecutor:
    """Spawned processes, each with its own worker; one that dies takes no other with it."""

    ahead = 2  # the next call waits in the process, not in the driver

    def __init__(self, makes: Sequence[Make]) -> None:
        self._makes = list(makes)
        self.n_workers = len(self._makes)
        self._pools: list[ProcessPoolExecutor | None] = [None] * self.n_workers

    def start(self, worker: int) -> Future[None]:
        """Spawn the process, unless it lives."""
        if self._pools[worker] is None:
            self._pools[worker] = ProcessPoolExecutor(
                1,
                multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=(self._makes[worker],),
            )
        return self.submit(worker, nothing)

    def submit(self, worker: int, function: Callable[..., T], /, *args: Any) -> Future[T]:
        """Queue a call for the process."""
        pool, outer = self._pools[worker], Future[T]()
        if pool is None:
            outer.set_exception(WorkerLost("it was not started"))
            return outer
        try:
            inner = pool.submit(_call, function, *args)
        except BrokenProcessPool:
            self._drop(worker)
            outer.set_exception(WorkerLost("its process ended"))
            return outer
        inner.add_done_callback(lambda done: self._hand_on(worker, pool, done, outer))
        return outer

    def _hand_on(
        self, worker: int, pool: ProcessPoolExecutor, inner: Future[T], outer: Future[T]
    ) -> None:
        if inner.cancelled():
            outer.cancel()
        elif isinstance(error := inner.exception(), BrokenProcessPool):
            if self._pools[worker] is pool:
                self._drop(worker)
            outer.set_exception(WorkerLost("its process ended"))
        elif error is not None:
            outer.set_exception(error)
        else:
            outer.set_result(inner.result())

    def _drop(self, worker: int) -> None:
        pool, self._pools[worker] = self._pools[worker], None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

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
