"""Calls that run at once, in this process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from landscape.run.executors.interface import Make

T = TypeVar("T")


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
