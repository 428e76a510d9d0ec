"""Faults at random moments: ``python experiments/faults/run.py --seed 0 --faults 264 --out DIR``.

Each trial begins a run of ``landscape run``, does something bad to it, gives the plain command
until it is finished, and compares the store with that of an uninterrupted run, array by array. What
was tried is kept in ``DIR/trials.jsonl``; a stopped harness goes on from there.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # a fork takes no threads along
os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}

import argparse
import ctypes
import json
import shutil
import subprocess
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trial import Case, Result
    from world import World

HERE = Path(__file__).parent
_ATTEMPTS = 12
_NEW_NAMESPACE = 0x00020000  # CLONE_NEWNS: what is mounted goes with this process


def main() -> None:
    """Exit with 1 where something is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=int, default=264)
    parser.add_argument("--out", type=Path, required=True, help="of trials and tables")
    parser.add_argument("--only", default="", help="a part of the names of kinds")
    parser.add_argument("--again", default=None, help="a part of names, to try once more")
    parser.add_argument("--quick", action="store_true", help="no cold runs, nothing drawn")
    parser.add_argument("--keep", action="store_true", help="what trials that fail leave")
    given = parser.parse_args()
    out: Path = given.out.absolute()
    out.mkdir(parents=True, exist_ok=True)

    import launch
    from kinds import draw_cases
    from table import as_table
    from tqdm import tqdm
    from trial import Case
    from world import make_world

    tqdm.monitor_interval = 0  # it would be a thread
    os.environ["LANDSCAPE_CACHE"] = str(out / "cache")
    cases = draw_cases(given.seed, given.faults, only=given.only, quick=given.quick)
    log = out / "trials.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    results = [json.loads(line) for line in lines]
    if given.again is not None:
        results = [r for r in results if given.again not in r["case"]["kind"]]
        log.write_text("".join(f"{json.dumps(result)}\n" for result in results))
    if any(Case(**r["case"]) not in cases for r in results):
        sys.exit(f"{log} holds other trials: give another --out, or remove it")
    mounts = _own_mounts()
    launch.warm()
    world = make_world(out / "work", given.seed, mounts, quick=given.quick)
    done = {result["case"]["number"] for result in results}
    live = sys.stderr.isatty()
    bar = tqdm(total=len(cases), initial=len(done), unit="fault", mininterval=0.5 if live else 20)
    with log.open("a") as file:
        for case in cases:
            if case.number in done:
                continue
            result = asdict(one_trial(case, world, given.keep))
            results.append(result)
            file.write(f"{json.dumps(result)}\n")
            file.flush()
            for failure in result["failures"]:
                bar.write(f"{case.number}: {case.kind}: {failure}", file=sys.stderr)
            bar.update()
    bar.close()
    results.sort(key=lambda result: result["case"]["number"])
    (out / "faults.json").write_text(json.dumps(results, indent=0) + "\n")
    (out / "faults.md").write_text(as_table(results, given.seed))
    if not given.keep:
        for name in ("work", "cache"):
            shutil.rmtree(out / name, ignore_errors=True)
    failed = sum(bool(result["failures"]) for result in results)
    print(f"{len(results)} faults, {len(results) - failed} survived")
    sys.exit(bool(failed))


def one_trial(case: Case, world: World, keep: bool) -> Result:
    """Try a fault until it comes before the run has ended."""
    import numpy as np
    from kinds import KINDS
    from trial import Trial

    rng = np.random.default_rng(case.seed)
    began = time.monotonic()
    for attempt in range(_ATTEMPTS):
        folder = world.work / "trials" / f"{case.number:03d}-{attempt}"
        trial = Trial(case, world, folder, rng)
        try:
            came = KINDS[case.kind].act(trial)
        except Exception:
            came = True
            trial.fail(f"the harness: {traceback.format_exc().strip()}")
        if came or trial.result.failures:
            break
        shutil.rmtree(folder, ignore_errors=True)
    else:
        trial.fail("it never came before the end of the run")
    trial.result.seconds = round(time.monotonic() - began, 1)
    if not (keep and trial.result.failures):
        shutil.rmtree(folder, ignore_errors=True)
    return trial.result


def _own_mounts() -> bool:
    """Whether file systems can be mounted; they vanish with this process."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        return False
    if ctypes.CDLL(None).unshare(_NEW_NAMESPACE):
        return False
    private = ("mount", "--make-rprivate", "/")
    return subprocess.run(private, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    main()
