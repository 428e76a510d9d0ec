"""Calls to workers, wherever they are: each task once, whatever happens to the workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landscape.core.errors import ConfigError
from landscape.run.executors import LocalExecutor, ProcessExecutor, WorkerLost, stream
from landscape.run.executors.interface import nothing
from landscape.run.executors.stream import ExecutorError
from tests.workers import Worker

ROOT = Path(__file__).parents[2]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor([partial(Worker, tmp_path)] * 2)
    yield executor
    executor.shutdown()


def test_in_this_process_in_order_with_a_look_ahead(tmp_path: Path) -> None:
    executor = LocalExecutor(partial(Worker, tmp_path))
    results = stream(executor, Worker.square, [3, 4, 5])
    first = next(results)
    assert len(executor.worker.seen) <= 2  # a slow caller is not flooded with results
    assert [first, *results] == [
        (i, (task**2, os.getpid(), following))
        for i, (task, following) in enumerate([(3, 4), (4, 5), (5, None)])
    ]
    assert executor.worker.seen == [3, 4, 5]


def test_processes_share_the_tasks_and_give_what_one_gives(
    tmp_path: Path, processes: ProcessExecutor
) -> None:
    tasks = list(range(20))
    results = dict(stream(processes, Worker.meet, tasks))
    assert {index: value[0] for index, value in results.items()} == {i: i * i for i in tasks}
    assert len({pid for _, pid, _ in results.values()}) == 2
    assert os.getpid() not in {pid for _, pid, _ in results.values()}
    assert len(list(tmp_path.iterdir())) == len(tasks)  # each once
    again = dict(stream(processes, Worker.square, tasks))
    assert {p for _, p, _ in again.values()} <= {p for _, p, _ in results.values()}  # the same


def test_a_killed_worker_is_replaced_and_nothing_is_lost_or_done_twice(
    processes: ProcessExecutor,
) -> None:
    lines: list[str] = []
    name = "task {}".format
    results = list(
        stream(processes, Worker.die_once, list(range(12)), name=name, report=lines.append)
    )
    assert sorted(results) == [(i, i * i) for i in range(12)]
    assert len(lines) == 1
    assert "lost at task 5" in lines[0]


def test_three_deaths_at_one_task_are_enough(processes: ProcessExecutor) -> None:
    with pytest.raises(ExecutorError, match=r"(?s)3 workers died at the same task.*task 5.*fewer"):
        list(stream(processes, Worker.die, list(range(12)), name=lambda t: f"task {t}"))


def test_an_error_comes_back_as_it_was_raised(processes: ProcessExecutor) -> None:
    with pytest.raises(ConfigError, match=r"(?s)This cannot be\..*task 0.*ask for something else"):
        list(stream(processes, Worker.refuse, [0]))


def test_a_worker_that_cannot_be_made_says_why() -> None:
    executor = ProcessExecutor([partial(Worker)])  # without its folder
    with pytest.raises(TypeError, match="folder"):
        list(stream(executor, Worker.square, [1]))
    executor.shutdown()


def test_workers_end_with_a_driver_that_is_killed(tmp_path: Path) -> None:
    code = (
        "from functools import partial; from pathlib import Path; import time\n"
        "from landscape.run.executors import ProcessExecutor, stream\n"
        "from tests.workers import Worker\n"
        "if __name__ == '__main__':\n"
        f"    e = ProcessExecutor([partial(Worker, Path({str(tmp_path)!r}))] * 2)\n"
        "    print(*{p for _, (_, p, _) in stream(e, Worker.square, list(range(9)))}, flush=True)\n"
        "    time.sleep(60)\n"
    )
    script = tmp_path / "driver.py"
    script.write_text(code)
    driver = subprocess.Popen(
        [sys.executable, script],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout is not None
    pids = [int(pid) for pid in driver.stdout.readline().split()]
    driver.stdout.close()
    assert pids
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    for _ in range(100):
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return
        time.sleep(0.1)
    raise AssertionError(f"still there: {pids}")


class Flaky:
    """An executor whose workers are lost as a script says, without processes."""

    def __init__(self, n_workers: int, ahead: int, losses: list[bool]) -> None:
        self.n_workers, self.ahead, self._losses = n_workers, ahead, losses
        self._at = 0

    def _lost(self) -> bool:
        self._at += 1
        return self._at - 1 < len(self._losses) and self._losses[self._at - 1]

    def submit(self, worker: int, function: Callable[..., Any], /, *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if function is not nothing and self._lost():
            future.set_exception(WorkerLost("as the script says"))
        else:
            future.set_result(function(None, *args))
        return future

    def result(self, worker: int, future: Future[Any]) -> Any:
        return future.result()

    def shutdown(self) -> None:
        pass


@settings(max_examples=200, deadline=None)
@given(
    n_tasks=st.integers(0, 30),
    n_workers=st.integers(1, 5),
    ahead=st.integers(1, 3),
    losses=st.lists(st.booleans(), max_size=40),
)
def test_whoever_is_lost_each_task_comes_back_once(
    n_tasks: int, n_workers: int, ahead: int, losses: list[bool]
) -> None:
    executor = Flaky(n_workers, ahead, losses)
    found = []
    try:
        call = lambda _, task, following: task + 100  # noqa: E731
        for index, result in stream(executor, call, list(range(n_tasks))):
            found.append(index)
            assert result == index + 100
    except ExecutorError:
        assert sum(losses) >= 3  # only after three deaths at one task
    else:
        assert sorted(found) == list(range(n_tasks))
    assert len(set(found)) == len(found)
