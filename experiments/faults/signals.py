"""Drivers and workers that are killed or told to stop, and two drivers at a time."""

from __future__ import annotations

import os
import signal
import time

from launch import Running
from trial import Moment, Trial, signal_to

_BUSY = "Another process is writing to the store."


def kill_driver(trial: Trial) -> bool:
    """SIGKILL; its workers must end too."""
    return _stopped(trial, signal.SIGKILL, -signal.SIGKILL)


def terminate(trial: Trial) -> bool:
    """SIGTERM, as batch systems send it."""
    return _stopped(trial, signal.SIGTERM, 143)


def interrupt(trial: Trial) -> bool:
    """SIGINT to the driver, or as Ctrl-C in a terminal does to all processes."""
    return _stopped(trial, signal.SIGINT, 130, group=trial.case.cold)


def _stopped(trial: Trial, number: int, code: int, *, group: bool = False) -> bool:
    trial.lay_out()
    moment = trial.moment(*(("file", "time") if trial.case.drawing else ()))
    running = trial.run({"stop": moment.stop()})
    if not trial.strike(running, moment, lambda pid: signal_to(running, number, group)):
        return False
    # the last of what a run does is out of reach: it may be over before the signal comes
    trial.end(running, *((code,) if moment.at != "time" else (code, 0)))
    trial.check()
    trial.resume()
    trial.finale()
    return True


def kill_worker(trial: Trial) -> bool:
    """SIGKILL to one worker, or to both: others take their places, and the run goes on."""
    work = trial.start.left["process"]["work"]
    if work < 4:
        return False
    trial.lay_out()
    moment = Moment("event", int(trial.rng.integers(1, work // 2 + 1)))
    if trial.rng.random() < 0.4:
        moment = trial.moment("time")
    running = trial.run({"stop": moment.stop("worker")})
    both = trial.rng.random() < 0.25

    def kill(pid: int) -> None:
        workers = [one for one in running.processes() if one != running.pid]
        chosen = workers if both or pid == running.pid else [pid]
        for worker in chosen if both else chosen[:1]:
            os.kill(worker, signal.SIGKILL)

    if not trial.strike(running, moment, kill):
        return False
    trial.end(running, 0)
    trial.finale()
    return True


def two_from_the_start(trial: Trial) -> bool:
    """Two drivers begin on one store at the same moment."""
    trial.lay_out()
    first = trial.run()
    time.sleep(float(trial.rng.random()) * 0.1)
    return _both(trial, first, trial.run(executor=trial.one_of("local", "process")))


def second_driver(trial: Trial) -> bool:
    """Another driver begins while one is at work."""
    trial.lay_out()
    moment = trial.moment()
    first = trial.run({"stop": moment.stop()})
    second: list[Running] = []

    def begin(_: int) -> None:
        second.append(trial.run(executor=trial.one_of("local", "process")))
        if moment.at != "time":  # the first one waits
            trial.end(second[0], 2)

    if not trial.strike(first, moment, begin):
        return False
    return _both(trial, first, second[0])


def _both(trial: Trial, first: Running, second: Running) -> bool:
    codes = [trial.end(first, 0, 2), trial.end(second, 0, 2)]
    trial.result.place = trial.result.place or "start"
    if 0 not in codes:
        trial.fail("neither of two drivers has finished")
        trial.resume()
    for running in (first, second):
        if running.code == 2 and _BUSY not in running.said():
            trial.fail(f"refused for another reason: {running.said().strip().splitlines()[-1]}")
    trial.finale()
    return True
