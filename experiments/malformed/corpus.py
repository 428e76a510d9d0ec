"""All malformed inputs, by kind: ``python experiments/malformed/corpus.py OUT`` writes them."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import checkpoint_cases
import configuration_cases
import data_cases
import page_cases
import published_cases
import store_cases
import weight_cases
from cases import Case, Room
from materials import make_materials

CASES: tuple[Case, ...] = (
    *weight_cases.CASES,
    *checkpoint_cases.CASES,
    *configuration_cases.CASES,
    *data_cases.CASES,
    *published_cases.CASES,
    *store_cases.CASES,
    *page_cases.CASES,
)


def room_of(number: int, case: Case, folder: Path, materials: Path) -> tuple[Room, list[str]]:
    """Make one case's input in a folder of its own.

    Returns:
        The room, and the arguments of ``landscape``.
    """
    room = Room(folder / f"{number:03d}", materials)
    room.build()
    return room, [str(part) for part in case.make(room)]


def main() -> None:
    """Write every case into a folder, and the commands into ``commands.txt``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="a folder that does not exist")
    given = parser.parse_args()
    out = given.out.absolute()
    (out / "materials").mkdir(parents=True)
    materials = make_materials(out / "materials")
    with (out / "commands.txt").open("w") as lines:
        for number, case in enumerate(CASES):
            _, arguments = room_of(number, case, out, materials)
            command = shlex.join(["landscape", *arguments])
            lines.write(f"# {case.id}: exit {case.code}, '{case.expected}'\n{command}\n")
    print(f"{len(CASES)} cases in {out}")


if __name__ == "__main__":
    main()
