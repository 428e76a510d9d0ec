"""An indicator of a user's own, from one file and a line of YAML to store and tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import landscape
from landscape.core.errors import ConfigError
from landscape.indicators import INDICATORS, read_indicator
from landscape.output.tables import write_tables
from landscape.records import read_store
from tests.runs import measured
from tests.tiny import write_experiment

TOY = "tests.toys.indicator:Margin"


def test_it_lands_in_store_and_tables(
    tmp_path: Path, populations: dict[str, Path], task_file: Path
) -> None:
    line = {"kind": "line", "between": ["member-0", "member-1"], "points": 3}
    config = write_experiment(
        tmp_path / "c.yaml",
        populations["bert"],
        task_file,
        evaluate={"token_budget": 256},
        paths=[{"points": 5}, line],
        indicators=[{TOY: {"scale": 2.0, "at": ["models", "pairs"]}}],
    )
    results = read_store(measured(config, task_file.parent) / "store.h5")
    table = results.indicators["margin"]
    assert table.path.tolist() == [0, 1, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]  # not the line beside them
    assert table.point.tolist() == [0, 0, 0, *[1, 2, 3] * 3]
    assert table.dims == {
        f"{name}/{key}": dims
        for name in ("dev", "hard")
        for key, dims in (("margins", ("example",)), ("share", ()))
    }
    dev = results.datasets["dev"]
    margins = table.arrays["dev/margins"]
    right = np.concatenate([dev.model_predictions, *dev.predictions[:, 1:-1]]) == dev.labels
    np.testing.assert_array_equal(margins > 0, right)
    two = np.concatenate([dev.model_losses, *dev.losses[:, 1:-1]])  # of two labels
    np.testing.assert_allclose(np.logaddexp(0, -2 * margins), two, rtol=1e-4, atol=1e-6)
    write_tables(landscape.analyze(results), tmp_path / "tables")
    csv = pd.read_csv(tmp_path / "tables" / "margin.csv")
    assert csv["path"].tolist()[2:4] == ["member-2", "member-0--member-1"]
    np.testing.assert_allclose(csv["dev/share"], right.mean(1))
    assert "indicators" in results.config


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("calibrated_los", "did you mean 'calibrated_loss'"),
        ("tests.toys.indicator:Nothing", "no attribute 'Nothing'"),
        ("tests.toys.absent:Margin", "No module named"),
        ("tests.toys.indicator:np", "expected: a class that inherits"),
        ({TOY: {"scal": 2}}, "did you mean 'scale'"),
        ({TOY: {"at": ["models", "moon"]}}, "moon"),
        ({"a": {}, "b": {}}, "a mapping of one name"),
        (3, "found: 3"),
    ],
)
def test_what_is_no_indicator_is_refused(content: object, part: str) -> None:
    with pytest.raises(ConfigError, match=part) as error:
        read_indicator(content, "indicators.0")
    assert "indicators.0" in str(error.value)


def test_every_one_says_what_it_is() -> None:
    assert {"loss", "calibrated_loss"} <= set(INDICATORS)
    for name, kind in INDICATORS.items():
        assert kind.name == name
        assert kind.text
