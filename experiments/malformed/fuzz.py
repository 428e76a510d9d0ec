"""Fuzz the readers: ``python experiments/malformed/fuzz.py --reader all --scale 1 --seed 0``.

An execution passes where the reader returns, or raises a LandscapeError. Anything else is a crash:
another exception, more than 5 seconds, more than a gigabyte, the end of the process. Every input
is decided by the seed and its number alone: ``--first K --executions 1`` makes one again.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}

import argparse
import json
import mmap
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from fuzz_readers import READERS, Reader
from materials import make_materials

from landscape.core.errors import LandscapeError

SECONDS = 5.0
MOST_BYTES = 2**30  # of resident memory beyond what the reader's libraries take
_ADDRESSES = 2**32  # bytes beyond those in use, of which allocators reserve more than they need
_GO_ON = 17  # the exit code of a child that has reported a crash and cannot go on itself
_STALE = 20.0  # seconds without a sign of life
_ROUND = 20_000  # executions of one child
EXECUTIONS = {
    "configuration": 100_000,
    "task": 60_000,
    "safetensors": 120_000,
    "shard index": 60_000,
    "config.json": 60_000,
    "torch file": 80_000,
    "architecture": 5_000,
    "tokenizer": 5_000,
    "data: TSV": 40_000,
    "data: CSV": 40_000,
    "data: JSONL": 60_000,
    "data: gzip": 30_000,
    "labels": 100_000,
    "pickle": 200_000,
    "log": 100_000,
    "table": 100_000,
    "JSON": 100_000,
    "published": 40_000,
    "store": 30_000,
}
"""Of each reader at scale 1: 1.3 million in all."""


class TooLongError(BaseException):
    """The time limit."""


def main() -> None:
    """Print a line a reader, write what was found; exit with 1 where there was a crash."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reader", default="all", choices=["all", *READERS])
    parser.add_argument("--executions", type=int, default=None, help="of each reader")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers above")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first execution")
    parser.add_argument("--crashes", type=Path, default=Path("fuzz-crashes"), help="a folder")
    parser.add_argument("--json", type=Path, default=None, help="a line a reader is added to it")
    given = parser.parse_args()
    names = list(READERS) if given.reader == "all" else [given.reader]
    memory = Path("/dev/shm")
    work = Path(tempfile.mkdtemp(prefix="landscape-fuzz-", dir=memory if memory.is_dir() else None))
    os.environ |= {"HOME": str(work), "LANDSCAPE_CACHE": str(work)}
    crashed = False
    try:
        (work / "materials").mkdir()
        make_materials(work / "materials")
        for name in names:
            n = given.executions or round(given.scale * EXECUTIONS[name])
            row = fuzz(name, n, given.seed, given.first, work, given.crashes)
            crashed |= bool(row["crashes"])
            print(json.dumps(row), flush=True)
            if given.json:
                with given.json.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(crashed)


def fuzz(name: str, n: int, seed: int, first: int, work: Path, crashes: Path) -> dict[str, Any]:
    """Execute one reader n times, in children that may end.

    Returns:
        Executions, how many were read and how many refused, seconds, and crashes by what they are:
        how often, and the number of the first.
    """
    reader, folder = READERS[name], Path(tempfile.mkdtemp(dir=work))
    counts = mmap.mmap(-1, 32)  # shared: the next number, sign of life, read, refused
    found: dict[str, list[int]] = {}
    began = time.monotonic()
    seeds = reader.prepare(work / "materials", folder)
    for each in seeds:
        with suppress(LandscapeError):
            reader.read(each, folder)  # what is loaded at first use takes its time
    number, last = first, first + n
    while number < last:
        counts[:8] = struct.pack("<q", number)
        stop = min(last, number + _ROUND)
        report = folder / "report"
        report.write_text("")
        child = os.fork()
        if not child:
            try:
                _work(reader, seeds, range(number, stop), seed, folder, counts, report)
            finally:
                os._exit(1)
        status = _wait(child, counts)
        number = struct.unpack("<q", counts[:8])[0]
        for line in report.read_text().splitlines():
            what, _, at = line.rpartition("\t")
            found.setdefault(what, []).append(int(at))
        if status == _GO_ON:
            number += 1
        elif status is None or status or number < stop:
            what = "no sign of life" if status is None else f"the process ended with {status}"
            found.setdefault(what, []).append(number)
            number += 1
    for what, numbers in found.items():
        crashes.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng([seed, numbers[0]])
        stem = f"{name.replace(' ', '_').replace(':', '')}-{seed}-{numbers[0]}"
        (crashes / stem).write_bytes(reader.make(seeds, rng))
        (crashes / f"{stem}.txt").write_text(f"{what}\n{numbers[:100]}\n")
    read, refused = struct.unpack("<qq", counts[16:32])
    return {
        "reader": name,
        "seed": seed,
        "executions": n,
        "read": read,
        "refused": refused,
        "seconds": round(time.monotonic() - began, 1),
        "crashes": {what: [len(numbers), numbers[0]] for what, numbers in found.items()},
    }


def _wait(child: int, counts: mmap.mmap) -> int | None:
    seen, since = b"", time.monotonic()
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if counts[8:16] != seen:
            seen, since = counts[8:16], time.monotonic()
        if time.monotonic() - since > _STALE:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.05)


def _work(
    reader: Reader,
    seeds: Sequence[bytes],
    numbers: range,
    seed: int,
    folder: Path,
    counts: mmap.mmap,
    report: Path,
) -> NoReturn:
    warnings.simplefilter("ignore")
    for handle in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), handle)
    os.chdir(folder)
    signal.signal(signal.SIGALRM, _stop)
    if sys.platform.startswith("linux"):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + _ADDRESSES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    allowed = _peak_bytes() + MOST_BYTES
    with report.open("a") as crashes:
        for number in numbers:
            data = reader.make(seeds, np.random.default_rng([seed, number]))
            counts[:16] = struct.pack("<qq", number, number + 1)
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            try:
                reader.read(data, folder)
                _add(counts, 16)
            except LandscapeError:
                _add(counts, 24)
            except BaseException as error:
                signal.setitimer(signal.ITIMER_REAL, 0)
                crashes.write(f"{_signature(error)}\t{number}\n")
                crashes.flush()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            if _peak_bytes() > allowed:
                crashes.write(f"more than {MOST_BYTES} bytes\t{number}\n")
                crashes.close()
                os._exit(_GO_ON)
    counts[:8] = struct.pack("<q", numbers.stop)
    os._exit(0)


def _peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _add(counts: mmap.mmap, place: int) -> None:
    n = struct.unpack("<q", counts[place : place + 8])[0]
    counts[place : place + 8] = struct.pack("<q", n + 1)


def _signature(error: BaseException) -> str:
    """The error and the last line of the package that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "landscape" in f.filename] or frames[-1:]
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
    said = " ".join(str(error).split())[:120]
    return f"{type(error).__name__} at {place}: {said}"


def _stop(*_: Any) -> None:
    raise TooLongError


if __name__ == "__main__":
    main()
