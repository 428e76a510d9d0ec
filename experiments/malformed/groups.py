"""Cases in children of one warm process: a group in each, one after the other."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from cases import Case
from judge import SECONDS, Result, judge
from sandbox import Sandbox

_GRACE = 30.0  # seconds for making an input and judging a page

Numbered = tuple[int, Case]


def run_cases(cases: Sequence[Numbered], size: int, work: Path, *, keep: bool) -> Iterator[Result]:
    """Run cases in groups of ``size``; what ends a child ends its group, and the rest gets another.

    Args:
        cases: With their numbers.
        size: Of a group.
        work: The folder that the inputs are made in; ``materials`` lie there.
        keep: Whether the inputs stay.
    """
    left = list(cases)
    while left:
        group = left[:size]
        done = 0
        for result in _run_group(group, work, keep):
            done += 1
            yield result
        left = left[done:]


def _run_group(group: Sequence[Numbered], work: Path, keep: bool) -> Iterator[Result]:
    receive, send = os.pipe()
    child = os.fork()
    if not child:
        os.close(receive)
        _run_child(group, work, keep, send)
    os.close(send)
    rest = b""
    for _, case in group:
        line, rest = _read_line(receive, rest, time.monotonic() + SECONDS + _GRACE)
        if line is None:  # it ended by itself, or has to be
            os.killpg(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            os.close(receive)
            said = f"the process ended with {os.waitstatus_to_exitcode(status)}"
            yield Result(case.kind, case.name, "", None, SECONDS, 0.0, "", (said,))
            return
        content = json.loads(line)
        yield Result(**{**content, "failures": tuple(content["failures"])})
    os.waitpid(child, 0)
    os.close(receive)


def _read_line(handle: int, rest: bytes, deadline: float) -> tuple[bytes | None, bytes]:
    while b"\n" not in rest:
        ready, _, _ = select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
        block = os.read(handle, 1 << 16) if ready else b""
        if not block:
            return None, rest
        rest += block
    line, _, rest = rest.partition(b"\n")
    return line, rest


def _run_child(group: Sequence[Numbered], work: Path, keep: bool, send: int) -> NoReturn:
    code = 1
    try:
        os.setsid()
        sandbox = Sandbox()
        for number, case in group:
            result = judge(number, case, work, sandbox)
            os.write(send, json.dumps(asdict(result)).encode() + b"\n")
            if not keep:
                shutil.rmtree(work / f"{number:03d}", ignore_errors=True)
        code = 0
    finally:
        os._exit(code)
