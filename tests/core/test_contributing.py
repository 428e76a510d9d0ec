"""CONTRIBUTING.md's examples: each one file outside the package, and all through one run."""

from __future__ import annotations

import importlib
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

import landscape
from landscape.analysis import analysis, sources
from landscape.analysis.barriers import RULES
from landscape.analysis.basins import Basins
from landscape.indicators import INDICATORS
from landscape.output.plots import FIGURES
from landscape.output.report import SECTIONS
from landscape.paths.kinds import PATH_KINDS
from landscape.run.commands import app
from tests.tiny import write_experiment

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", re.DOTALL)
EXAMPLES = dict(BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text()))
CALLS: Counter[str] = Counter()  # of find_basins, by module
REGISTRIES = (RULES, INDICATORS, FIGURES, SECTIONS, PATH_KINDS)


def counted(call: Callable[..., Basins], name: str) -> Callable[..., Basins]:
    """The same call, counted."""

    def find(*args: Any, **options: Any) -> Basins:
        CALLS[name.rsplit(".", 1)[-1]] += 1
        return call(*args, **options)

    return find


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, populations: dict[str, Path], task_file: Path
) -> Iterator[Path]:
    """Of a run with everything that the examples add."""
    folder = tmp_path_factory.mktemp("examples")
    before = [dict(registry) for registry in REGISTRIES]
    commands = list(app.registered_commands)
    for name, text in EXAMPLES.items():
        (folder / name).write_text(text)
    for data in ("train", "dev", "hard"):
        (folder / f"{data}.tsv").write_bytes((task_file.parent / f"{data}.tsv").read_bytes())
    sys.path.insert(0, str(folder))
    modules = [Path(name).stem for name in EXAMPLES if name.endswith(".py")]
    for module in modules:
        importlib.import_module(module)
    context = pytest.MonkeyPatch()
    for room in (analysis, sources):
        context.setattr(room, "find_basins", counted(room.find_basins, room.__name__))
    config = write_experiment(
        folder / "config.yaml",
        populations["bert"],
        folder / "task.yaml",
        data_root=str(folder),
        paths=[
            {"kind": "line", "points": 5},
            {"kind": "plane", "points": 3, "through": ["member-0", "member-1", "member-2"]},
            {"kind": "arc", "between": ["member-0", "member-1"], "points": 5},
        ],
        indicators=["confidence"],
        analysis={"rule": "middle_rise", "n_resamples": 100},
    )
    yield landscape.run_experiment(config, report=lambda line: None)
    context.undo()
    sys.path.remove(str(folder))
    for module in modules:
        del sys.modules[module]
    for registry, content in zip(REGISTRIES, before, strict=True):
        registry.clear()
        registry.update(content)
    app.registered_commands[:] = commands


def test_there_is_an_example_of_each_row() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text().split("| to add | touch |")[1].split("\n\n")[0]
    assert len(table.strip().splitlines()) - 1 == len(EXAMPLES) == 7


def test_the_indicator(store: Path) -> None:
    results = landscape.read_store(store)
    measured = results.indicators["confidence"]
    table = pd.read_csv(store.parent / "tables" / "confidence.csv")
    assert len(table) == len(measured.path) == 3 + 3 * 3 + 9 + 5
    values = measured.arrays["dev/confidence"]
    assert measured.dims["dev/confidence"] == ("example",)
    assert measured.units["dev/confidence"] == "1"
    # of two labels: where the prediction is right the loss is that of the confidence
    dev = results.datasets["dev"]
    right = dev.model_predictions == dev.labels
    np.testing.assert_allclose(
        -np.log(values[measured.path < 3][right]), dev.model_losses[right], atol=1e-5
    )
    assert "confidence" in (store.parent / "report.html").read_text()
    assert (store.parent / "figures" / "indicators.png").is_file()


def test_the_path_kind(store: Path) -> None:
    arc = landscape.read_store(store).points["arc"]
    assert arc.evaluated.all()
    assert arc.notes["text"] == "quarter circle"
    page = (store.parent / "report.html").read_text()
    assert "quarter circle" in page
    assert (store.parent / "figures" / "paths.png").is_file()
    # its ends are the two models
    results = landscape.read_store(store)
    for model, point in ((0, 0), (1, -1)):
        own = results.datasets["dev"].model_losses[model]
        np.testing.assert_allclose(arc.losses["dev"][point], own, atol=1e-5)


def test_the_rule(store: Path) -> None:
    gaps = pd.read_csv(store.parent / "tables" / "gaps.csv")["gap"]
    losses = landscape.read_store(store).datasets["dev"].losses.mean(axis=2, dtype=np.float64)
    np.testing.assert_allclose(gaps, losses[:, 2] - (losses[:, 0] + losses[:, -1]) / 2)


def test_figure_section_and_task(store: Path) -> None:
    page = (store.parent / "report.html").read_text()
    assert (store.parent / "figures" / "score_histogram.pdf").is_file()
    for text in ("How scores are spread", "The best model on dev is member-"):
        assert text in page
    task = yaml.safe_load(EXAMPLES["task.yaml"])
    assert landscape.read_store(store).config["task"]["name"] == task["name"]


def test_the_command(store: Path) -> None:
    answer = CliRunner().invoke(app, ["names", str(store)])
    assert answer.output.split() == ["member-0", "member-1", "member-2"]


def test_a_run_with_paths_and_a_surface_finds_its_basins_once(store: Path) -> None:
    n_sets = len(landscape.read_store(store).datasets)
    # every other matrix is a question of its own: gaps and disagreement a data set, and weights
    others = (sum(rule.is_zero_without for rule in RULES.values()) + 1) * n_sets + 1
    assert {"analysis": 1, "sources": others} == CALLS
