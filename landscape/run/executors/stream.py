"""Tasks over workers: each has its own share, idle ones steal, lost ones are replaced."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from landscape.core.errors import LandscapeError
from landscape.run.executors.interface import Executor, WorkerLost, nothing

T = TypeVar("T")
Call = Callable[[Any, T, T | None], Any]
"""From a worker, a task, and the one that it will likely be given next."""

_TRIES = 3  # deaths of workers at one task, or of one worker before its first


class ExecutorError(LandscapeError, RuntimeError):
    """Workers that cannot do what they are asked for."""


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

    ``call`` is given a task and, to load it ahead, the one after that; ``name`` says what a task is
    called in messages, ``report`` takes a line when a worker is lost.

    Raises:
        ExecutorError: Three workers died at one task, or none can be started.
        Exception: Whatever a call raised.
    """
    if not len(tasks):
        return
    state = _State(executor, call, tasks, name, report)
    for worker in range(executor.n_workers):
        state.call_on(worker, None, nothing)
    while state.left:
        done = wait(state.running, return_when=FIRST_COMPLETED).done
        for future in [future for future in state.running if future in done]:
            if future in state.running:  # else its worker was lost meanwhile
                yield from state.settle(future)


def first(executor: Executor, call: Call[T], task: T) -> Any:
    """The result of a single task."""
    return next(result for _, result in stream(executor, call, [task]))


@dataclass
class _State:
    executor: Executor
    call: Call[Any]
    tasks: Sequence[Any]
    name: Callable[[Any], str]
    report: Callable[[str], None]
    running: dict[Future[Any], tuple[int, int | None]] = field(default_factory=dict)
    """From each call, in the order of calls, to its worker and task; None makes the worker."""
    deaths: Counter[int] = field(default_factory=Counter)
    refusals: Counter[int] = field(default_factory=Counter)
    ready: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.left = len(self.tasks)
        parts = np.array_split(np.arange(self.left), self.executor.n_workers)
        self.queues = [deque(part.tolist()) for part in parts]

    def call_on(self, worker: int, task: int | None, call: Callable[..., Any], *args: Any) -> None:
        self.running[self.executor.submit(worker, call, *args)] = worker, task

    def settle(self, future: Future[Any]) -> Iterator[tuple[int, Any]]:
        """Take what came of a call, and give its worker more."""
        worker, task = self.running[future]
        try:
            result = self.executor.result(worker, future)
        except WorkerLost as lost:
            self._lose(worker, str(lost))
            return
        del self.running[future]
        if task is None:
            self.ready.add(worker)
        else:
            self.left -= 1
            yield task, result
        self._feed(worker)

    def _feed(self, worker: int) -> None:
        n_calls = sum(other == worker for other, _ in self.running.values())
        while n_calls < self.executor.ahead and worker in self.ready:
            index = self._next(worker)
            if index is None:
                return
            queue = self.queues[worker]
            following = self.tasks[queue[0]] if queue else None
            self.call_on(worker, index, self.call, self.tasks[index], following)
            n_calls += 1

    def _next(self, worker: int) -> int | None:
        queue = self.queues[worker]
        if not queue:
            longest = max(self.queues, key=len)
            for _ in range((len(longest) + 1) // 2):  # the half that its owner comes to last
                queue.appendleft(longest.pop())
        return queue.popleft() if queue else None

    def _lose(self, worker: int, why: str) -> None:
        """The worker's tasks go back into the queue; only what it was at counts against it."""
        lost = [task for other, task in self.running.values() if other == worker]
        tasks = [task for task in lost if task is not None]
        self.running = {f: call for f, call in self.running.items() if call[0] != worker}
        self.queues[worker].extendleft(reversed(tasks))
        self.ready.discard(worker)
        if tasks:
            self.deaths[tasks[0]] += 1
            what = self.name(self.tasks[tasks[0]])
            self.report(f"worker {worker} was lost at {what} ({why}); another takes its place")
            if self.deaths[tasks[0]] >= _TRIES:
                raise ExecutorError(
                    f"{_TRIES} workers died at the same task.",
                    where=what,
                    found=why,
                    fix="if memory ran out (the system's log says so), use fewer workers or a "
                    "smaller evaluate.memory_budget or evaluate.token_budget; what was finished is "
                    "kept",
                )
        else:
            self.refusals[worker] += 1
        for other in tuple(self.ready):  # who had nothing left to do can have it now
            self._feed(other)
        if self.refusals[worker] < _TRIES:
            self.call_on(worker, None, nothing)
        elif not self.running:
            raise ExecutorError("No worker can be started.", found=why)
