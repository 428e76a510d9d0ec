"""Run simulations: ``python experiments/simulations/run.py coverage few answers``, or other ones.

Each writes its results into the folder of results, and goes on there where it was stopped.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

NAMES = ("coverage", "few", "answers", "active", "small_basins")


def main() -> None:
    """Each simulation writes NAME.json and NAME.md, and what it goes on from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=NAMES)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--quick", action="store_true", help="a small one, to see that it runs")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.names:
        import_module(name).main(given.out, given.quick)
        print((given.out / f"{name}.md").read_text())


if __name__ == "__main__":
    main()
