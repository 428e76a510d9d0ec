"""``python -m tests.stress --faults 220 --seed 0 --out FILE``: faults, and a table of them.

A tiny experiment is run once without a fault. Then it is run again and again, and something bad
is done to it at a random moment; the plain command is given until it is finished. Survived is
what ends in success or one named error, with nothing wrong read, nothing sound lost, and at last
the uninterrupted run's records and store, array by array. Needs Linux, and root for mounts.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

_ATTEMPTS = 12
_NEW_NAMESPACE = 0x00020000


def main() -> None:
    """Try the faults; the exit code is 1 where one was not survived."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faults", type=int, default=220)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="a part of the names of the kinds")
    parser.add_argument("--quick", action="store_true", help="one experiment, no workers")
    parser.add_argument("--out", type=Path, help="the table; else printed")
    arguments = parser.parse_args()
    if os.geteuid() == 0 and not ctypes.CDLL(None).unshare(_NEW_NAMESPACE):
        subprocess.run(["mount", "--make-rprivate", "/"], check=False)  # mounts vanish with us
    work = Path(tempfile.mkdtemp(prefix="landscape-stress-"))
    os.environ |= {"LANDSCAPE_CACHE": str(work / "cache"), "OMP_NUM_THREADS": "1"}

    import numpy as np

    from tests.stress import population, runs, table
    from tests.stress.kinds import KINDS
    from tests.stress.trial import Trial

    runs.warm()
    allowed = ("local",) if arguments.quick else ("local", "process")
    references = population.references(work, allowed, 1 if arguments.quick else None)
    rng = np.random.default_rng([arguments.seed, 1])
    names = [name for name, kind in KINDS.items()
             if arguments.only in name and set(kind.executors) & set(allowed)]  # fmt: skip
    order = [name for _ in range(arguments.faults) for name in rng.permutation(names).tolist()]
    rows = []
    for number, name in enumerate(order[: arguments.faults]):
        kind = KINDS[name]
        rng = np.random.default_rng([arguments.seed, 2, number])
        executor = str(rng.choice([e for e in kind.executors if e in allowed]))
        for attempt in range(_ATTEMPTS):
            reference = references[0 if kind.plain else int(rng.integers(len(references)))]
            trial = Trial(reference, executor, work / f"{number:03d}-{attempt}", rng)
            try:
                came = kind.act(trial)
            except Exception:
                trial.fail(f"the harness: {traceback.format_exc()}")
                came = True
            if came or trial.failures:
                break
        else:
            trial.fail("it never came before the end of the run")
        rows.append(table.Row(name, executor, trial))
        for failure in trial.failures:
            print(f"{number}: {name}, {executor}, {trial.config.stem}: {failure}", file=sys.stderr)
        if not trial.failures:
            for path in work.glob(f"{number:03d}-*"):
                shutil.rmtree(path, ignore_errors=True)
        if (number + 1) % 10 == 0:
            print(f"{number + 1} of {arguments.faults}", file=sys.stderr, flush=True)
    text = table.as_table(rows)
    print(text) if arguments.out is None else arguments.out.write_text(text)
    survived = sum(not row.trial.failures for row in rows)
    print(f"{len(rows)} faults, {survived} survived")
    if survived == len(rows):
        shutil.rmtree(work, ignore_errors=True)
    else:
        print(f"what failed is in {work}", file=sys.stderr)
    sys.exit(survived < len(rows))


if __name__ == "__main__":
    main()
