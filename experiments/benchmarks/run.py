"""Run benchmarks: ``python experiments/benchmarks/run.py line curve plane mixing``, and others.

Needs the ten classifiers of ``landscape finetune experiments/mnli_minilm_finetune.yaml`` and the
data that they were made from. Leave the machine alone while it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
# plans are measured anew by each run
os.environ["LANDSCAPE_CACHE"] = tempfile.mkdtemp(prefix="landscape-plans-")

from common import ROOT, Setting, machine
from table import as_table

NAMES = (
    "line",
    "long",
    "pairs",
    "curve",
    "plane",
    "mixing",
    "growth",
    "startup",
    "memory",
    "gpu",
)


def main() -> None:
    """Each benchmark writes NAME.json and NAME.md into the folder of results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=NAMES)
    parser.add_argument("--checkpoints", type=Path, default=ROOT / "checkpoints" / "mnli_minilm")
    parser.add_argument("--data-root", type=Path, default=os.environ.get("LANDSCAPE_DATA"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--examples", type=int, default=512)
    parser.add_argument("--device", default=None, help="of gpu: cuda, or cpu at small size")
    parser.add_argument(
        "--peer-path",
        type=Path,
        default=os.environ.get("LOSS_SURFACE_SIMPLEXES"),
        help="of curve: a clone of g-benton/loss-surface-simplexes",
    )
    given = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="landscape-bench-"))
    for name in given.names:
        setting = Setting(
            given.checkpoints,
            given.data_root,
            given.repeats,
            given.examples,
            work,
            given.peer_path,
        )
        if name == "gpu":
            from gpu import bench_gpu

            result = bench_gpu(given.device)
        elif name == "startup":
            from startup import bench_startup

            result = bench_startup(setting)
        else:
            if not given.data_root or not list(given.checkpoints.glob("seed-*")):
                sys.exit(
                    f"No classifiers in {given.checkpoints}, or no --data-root: make them with\n"
                    "  landscape finetune experiments/mnli_minilm_finetune.yaml --data-root DATA"
                )
            result = _bench(name, setting)
        result = {"benchmark": name, "machine": machine(), **result}
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        (given.out / f"{name}.md").write_text(as_table(result))
        print(as_table(result))


def _bench(name: str, setting: Setting) -> dict[str, object]:
    if name in ("line", "long"):
        from line import bench_line

        return bench_line(setting, {"line": "hans", "long": "mnli_dev"}[name])
    if name == "pairs":
        from pairs import bench_pairs

        return bench_pairs(setting)
    if name == "curve":
        from curve import bench_curve

        return bench_curve(setting)
    if name == "plane":
        from plane import bench_plane

        return bench_plane(setting)
    if name == "mixing":
        from mixing import bench_mixing

        return bench_mixing(setting)
    if name == "memory":
        from memory import bench_memory

        return bench_memory(setting)
    from growth import bench_growth

    return bench_growth(setting)


if __name__ == "__main__":
    main()
