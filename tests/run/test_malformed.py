"""Every malformed input of the corpus gives one error and does no harm."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parents[2] / "experiments" / "malformed"
sys.path.insert(0, str(HERE))

from cases import Case  # noqa: E402
from corpus import CASES  # noqa: E402

from landscape.checkpoints import load_checkpoint  # noqa: E402
from landscape.core.errors import CheckpointError  # noqa: E402


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of each, run in groups by one warm process."""
    file = tmp_path_factory.mktemp("malformed") / "results.json"
    command = [sys.executable, str(HERE / "run.py"), "--group", "40", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert file.is_file(), done.stderr
    found = json.loads(file.read_text())
    return {f"{result['kind']}: {result['name']}": result for result in found}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_one_error_and_no_harm(case: Case, results: dict[str, dict[str, Any]]) -> None:
    result = results[case.id]
    assert result["failures"] == []
    assert result["code"] == case.code


def test_links_that_lead_nowhere_else_are_followed(population: Path, tmp_path: Path) -> None:
    """Those of the hub's cache, to its blobs; and a folder that is itself a link."""
    sound = load_checkpoint(population / "member-0")
    cache = tmp_path / "models--lab--one"
    snapshot, blobs = cache / "snapshots" / ("a" * 40), cache / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, file in enumerate(sound.path.iterdir()):
        file.rename(blobs / str(number))
        (snapshot / file.name).symlink_to(Path("../../blobs") / str(number))
    (tmp_path / "link").symlink_to(snapshot)
    for path in (snapshot, tmp_path / "link"):
        assert load_checkpoint(path).params.shapes == sound.params.shapes
    (snapshot / "merges.txt").symlink_to(population)
    with pytest.raises(CheckpointError, match="a link that leads out of its folder"):
        load_checkpoint(snapshot)


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    assert len({case.id for case in CASES}) == len(CASES) >= 80
    kinds = {case.kind for case in CASES}
    assert kinds >= {"checkpoint", "configuration", "task", "data", "published", "store", "page"}
