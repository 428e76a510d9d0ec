"""Calls to a few workers that keep what they have loaded; here those that run in this process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Make = Callable[[], Any]
"""Makes a worker, where it will work: a model, its batches, loaded checkpoints."""


class WorkerLost(Exception):
    """The worker was killed, or its machine is gone; the call may be made again elsewhere."""


def nothing(_worker: Any) -> None:
    """The first call of a worker, which makes it."""


class Executor(Protocol):
    """Shaped like ``concurrent.futures.Executor``, with a place for each call.

    Attributes:
        n_workers: How many there are.
        ahead: Calls that one worker is given at a time: more than one where they wait for it.
    """

    n_workers: int
    ahead: int

    def submit(self, worker: int, function: Callable[..., T], /, *args: Any) -> Future[T]:
        """Call ``function(worker, *args)`` there, by a new worker where the last one was lost.

        Function, arguments and result must be picklable.
        """
        ...

    def result(self, worker: int, future: Future[T]) -> T:
        """What a call returned or raised; ``WorkerLost`` where its worker is gone."""
        ...

    def shutdown(self) -> None:
        """End all workers, whatever they are doing."""
        ...


class LocalExecutor:
    """One worker, in this process; a call is over when ``submit`` returns."""

    n_workers = 1
    ahead = 1

    def __init__(self, make: Make) -> None:
        self._make = make
        self._worker: Any = None

    @property
    def worker(self) -> Any:
        """The worker itself."""
        if self._worker is None:
            self._worker = self._make()
        return self._worker

    def submit(self, worker: int, function: Callable[..., T], /, *args: Any) -> Future[T]:
        """Call it, and keep what it returned or raised."""
        future: Future[T] = Future()
        try:
            future.set_result(function(self.worker, *args))
        except Exception as error:
            future.set_exception(error)
        return future

    def result(self, worker: int, future: Future[T]) -> T:
        """What it returned or raised."""
        return future.result()

    def shutdown(self) -> None:
        """Drop the worker."""
        if hasattr(self._worker, "close"):
            self._worker.close()
        self._worker = None
