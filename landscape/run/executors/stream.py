"""Tasks over workers: each has its own share, idle ones steal, lost ones are replaced."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from landscape.core.errors import LandscapeError
from landscape.run.executors.interface import Executor, WorkerLost

T = TypeVar("T")
Call = Callable[[Any, T, T | None], Any]
"""From a worker, a task, and the one that it will likely be given next."""

_TRIES = 3  # deaths of workers at one task, or of one worker before its first


class ExecutorError(LandscapeError, RuntimeError):
    """Workers that cannot do what they are asked for."""


@dataclass
class _Running:
    worker: int
    task: int | None  # None: the worker is being started
    number: int


def stream(
    executor: Executor,
    call: Call[T],
    tasks: Sequence[T],
    *,
    name: Callable[[T], str] = str,
    report: Callable[[str], None] = lambda line: None,
) -> Iterator[tuple[int, Any]]:
    """Results as they come, each task's once, in no order.

    Each worker begins with an equal run of the tasks, so that neighbours find what they share
    loaded; who has none left takes half of the longest rest. No more results are under way than
    the workers are given at a time, however slow the caller is.

    Args:
        executor: Its workers are started, and started again when they are lost.
        call: What a worker does with a task and, to load it ahead, the one after that.
        tasks: In an order in which neighbours share what they need.
        name: What a task is called in messages.
        report: Takes a line when a worker is lost.

    Yields:
        A task's index and its result.

    Raises:
        ExecutorError: Three workers died at one task, or none can be started.
        Exception: Whatever a call raised.
    """
    state = _State(executor, call, tasks, name, report)
    if not len(tasks):
        return
    for worker in range(executor.n_workers):
        state.start(worker)
    while state.left:
        done = wait(state.running, return_when=FIRST_COMPLETED).done
        for future in sorted(done, key=lambda f: state.running[f].number):
            yield from state.settle(future)


class _State:
    def __init__(
        self,
        executor: Executor,
        call: Call[Any],
        tasks: Sequence[Any],
        name: Callable[[Any], str],
        report: Callable[[str], None],
    ) -> None:
        self.running: dict[Future[Any], _Running] = {}
        self.left = len(tasks)
        self._executor, self._call, self._tasks = executor, call, tasks
        self._name, self._report = name, report
        parts = np.array_split(np.arange(len(tasks)), executor.n_workers)
        self._queues = [deque(part.tolist()) for part in parts]
        self._deaths: Counter[int] = Counter()
        self._refusals: Counter[int] = Counter()
        self._ready: set[int] = set()
        self._number = 0

    def start(self, worker: int) -> None:
        self._add(self._executor.start(worker), worker, None)

    def settle(self, future: Future[Any]) -> Iterator[tuple[int, Any]]:
        """Take what came of a call, and give its worker more."""
        if future not in self.running:  # its worker was lost meanwhile
            return
        call = self.running.pop(future)
        try:
            result = future.result()
        except WorkerLost as lost:
            self._lose(call, str(lost))
            return
        if call.task is None:
            self._ready.add(call.worker)
        else:
            self.left -= 1
            yield call.task, result
        self._feed(call.worker)

    def _feed(self, worker: int) -> None:
        n_calls = sum(call.worker == worker for call in self.running.values())
        while n_calls < self._executor.ahead and worker in self._ready:
            index = self._next(worker)
            if index is None:
                return
            queue = self._queues[worker]
            following = self._tasks[queue[0]] if queue else None
            future = self._executor.submit(worker, self._call, self._tasks[index], following)
            self._add(future, worker, index)
            n_calls += 1

    def _next(self, worker: int) -> int | None:
        queue = self._queues[worker]
        if not queue:
            longest = max(self._queues, key=len)
            for _ in range((len(longest) + 1) // 2):  # the half that its owner comes to last
                queue.appendleft(longest.pop())
        return queue.popleft() if queue else None

    def _lose(self, call: _Running, why: str) -> None:
        """The worker's tasks go back into the queue; only what it was at counts against it."""
        worker = call.worker
        lost = [call, *(other for other in self.running.values() if other.worker == worker)]
        self.running = {f: other for f, other in self.running.items() if other.worker != worker}
        lost.sort(key=lambda call: call.number)
        tasks = [call.task for call in lost if call.task is not None]
        self._queues[worker].extendleft(reversed(tasks))
        self._ready.discard(worker)
        if tasks:
            self._deaths[tasks[0]] += 1
            what = self._name(self._tasks[tasks[0]])
            self._report(f"worker {worker} was lost at {what} ({why}); another takes its place")
            if self._deaths[tasks[0]] >= _TRIES:
                raise ExecutorError(
                    f"{_TRIES} workers died at the same task.",
                    where=what,
                    found=why,
                    fix="if memory ran out (the system's log says so), use fewer workers or a "
                    "smaller evaluate.memory_budget or evaluate.token_budget; what was finished is "
                    "kept",
                )
        else:
            self._refusals[worker] += 1
        for other in tuple(self._ready):  # who had nothing left to do can have it now
            self._feed(other)
        if self._refusals[worker] < _TRIES:
            self.start(worker)
        elif not self.running:
            raise ExecutorError("No worker can be started.", found=why)

    def _add(self, future: Future[Any], worker: int, task: int | None) -> None:
        self.running[future] = _Running(worker, task, self._number)
        self._number += 1
