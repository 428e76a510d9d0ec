"""Run the malformed inputs: ``python experiments/malformed/run.py``.

Every case runs in a child of one warm process (a group of cases in each, where that is asked for),
with a time limit, a limit of the address space, and a watch on what is written and started.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # a fork takes no threads along
os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}

import argparse
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent


def warm() -> None:
    """Load what the commands load, once."""
    for name in (
        "landscape.run.commands.cli",
        "landscape.run.check",
        "landscape.analysis.details",
        "landscape.run.pipeline",
        "landscape.run.export",
        "landscape.training.finetune",
        "landscape.analysis.averaging",
        "landscape.run.measurement.pairs",
        "landscape.run.measurement.surfaces",
        "landscape.output.plots",
        "landscape.importers.load",
        "landscape.output.report",
        "datasets",
        "sklearn.manifold",
        "transformers.models.bert.modeling_bert",
        "transformers.models.auto.modeling_auto",
        "transformers.models.auto.tokenization_auto",
    ):
        try:
            import_module(name)
        except ImportError:
            if name != "datasets":
                raise


def main() -> None:
    """Write the table; exit with 1 where a case fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "results", help="of the table")
    parser.add_argument("--json", type=Path, default=None, help="of all results, for tests")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument(
        "--group", type=int, default=1, help="cases in one child: faster, not so strict"
    )
    parser.add_argument("--keep", type=Path, default=None, help="a folder to leave the inputs in")
    given = parser.parse_args()
    sys.dont_write_bytecode = True
    work = given.keep or Path(tempfile.mkdtemp(prefix="landscape-malformed-"))
    work = work.absolute()
    for name in ("cache", "home", "materials"):
        (work / name).mkdir(parents=True)
    os.environ |= {"HOME": str(work / "home"), "LANDSCAPE_CACHE": str(work / "cache")}
    sys.path.insert(0, str(HERE))
    from corpus import CASES
    from groups import run_cases
    from materials import make_materials
    from table import as_table

    began = time.monotonic()
    warm()
    make_materials(work / "materials")
    chosen = [pair for pair in enumerate(CASES) if given.only in pair[1].id]
    results = []
    for result in run_cases(chosen, given.group, work, keep=given.keep is not None):
        results.append(result)
        if result.failures:
            print(f"{result.kind}: {result.name}: {'; '.join(result.failures)}", flush=True)
    bad = sum(bool(result.failures) for result in results)
    said = f"{len(results)} cases, {bad} failed, {time.monotonic() - began:.0f} s"
    if given.json:
        given.json.write_text(json.dumps([asdict(result) for result in results]))
    elif not given.only:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "corpus.md").write_text(as_table(results))
    if not given.keep:
        shutil.rmtree(work, ignore_errors=True)
    print(said)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
