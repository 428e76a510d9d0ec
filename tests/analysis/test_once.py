"""What is expensive is computed once a run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import landscape
from landscape.analysis import analysis, sources
from landscape.analysis.barriers import RULES
from tests.tiny import write_experiment


@pytest.mark.slow
def test_a_run_with_a_path_and_a_surface_finds_its_basins_once(
    tmp_path: Path, populations: dict[str, Path], task_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()
    for module in (analysis, sources):

        def counted(*args, name=module.__name__, call=module.find_basins, **options):
            calls[name.rsplit(".", 1)[-1]] += 1
            return call(*args, **options)

        monkeypatch.setattr(module, "find_basins", counted)
    config = write_experiment(
        tmp_path / "config.yaml",
        populations["bert"],
        task_file,
        paths=[
            {"kind": "line", "points": 5, "between": "all"},
            {"kind": "layers", "groups": ["embeddings"]},
            {"kind": "plane", "points": 3, "through": ["member-0", "member-1", "member-2"]},
        ],
    )
    store = landscape.run_experiment(config, root=task_file.parent, report=lambda line: None)
    datasets = landscape.read_store(store).datasets
    distances = sum(rule.is_zero_without for rule in RULES.values())
    # every other matrix of distances is a question of its own, asked once
    others = (distances + 1) * len(datasets) + 1 - 1
    assert calls == {"analysis": 1, "sources": others}
