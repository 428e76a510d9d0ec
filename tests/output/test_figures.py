"""The committed stores of real experiments still give what README says of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from landscape.analysis.analysis import analysis_options, analyze
from landscape.records import read_store

ROOT = Path(__file__).parents[2]
STORES = sorted((ROOT / "figures").glob("*.h5"))


@pytest.mark.parametrize("path", STORES, ids=lambda path: path.stem)
def test_committed_stores_are_whole_and_name_no_machine(path: Path) -> None:
    contents = read_store(path)
    assert contents.attributes["finished"] == "yes"
    for data in contents.datasets.values():
        assert np.isfinite(data.losses).all()
    words = json.dumps(contents.config) + " ".join(contents.checkpoints["ref"])
    assert not re.search(r'[ "]/\w', words), "an absolute path"
    analysis = analyze(contents, **analysis_options(contents))
    names = ["loss_curves", "gap_matrix", "centroid_distance", "basin_histogram", "evidence"]
    if not contents.datasets[analysis.dataset].aggregated:
        names.append("contributions")
    for figure in names:
        assert (path.with_suffix("") / f"{figure}.png").is_file()
    assert analysis.basins.evidence.reason


def test_there_are_committed_stores() -> None:
    assert STORES
