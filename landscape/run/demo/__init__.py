"""The whole story on data that the package makes itself: three controlled populations.

Everything is written as a user would have it: data files, a task, checkpoint directories and an
experiment's YAML for each population, which then goes through the ordinary main job.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import yaml

from landscape.run.demo.grammar import LABELS, Phrase, agreeing, disagreeing, draw_phrases

__all__ = ["make_demo"]

_TASK = {
    "name": "head_number",
    "labels": list(LABELS),
    "texts": ["text"],
    "in_domain": {"no_attractors": {"file": "data/no_attractors.tsv"}},
    "challenge": {
        "attractors": {"file": "data/attractors.tsv", "groups": ["attractors", "adverb"]}
    },
    "focus": "attractors",
}


def make_demo(
    out: Path,
    report: Callable[[str], None],
    *,
    pretrain_steps: int = 1000,
    steps: int = 400,
    per_rule: int = 5,
    controls: int = 9,
    phrases: int = 6000,
    seed: int = 0,
) -> list[Path]:
    """Write data, train an encoder and its classifiers, and write an experiment a population.

    What is there already from the same settings is kept. There are ``per_rule`` classifiers for
    each of three training sets of so many ``phrases``, ``controls`` in each of the other two
    populations.
    """
    from landscape.run.demo.populations import populations, train_populations, training_sets
    from landscape.run.demo.pretrain import pretrain_encoder

    rng, seen = np.random.default_rng(seed), set[str]()
    held_out = draw_phrases(512, agreeing, rng, seen)
    challenge = draw_phrases(512, disagreeing, rng, seen)
    sets = training_sets(
        draw_phrases(phrases, agreeing, rng, seen),
        draw_phrases(phrases // 2, disagreeing, rng, seen),
    )
    data = out / "data"
    data.mkdir(parents=True, exist_ok=True)
    _write_phrases(data / "no_attractors.tsv", held_out)
    _write_phrases(data / "attractors.tsv", challenge)
    for rule, rows in sets.items():
        _write_rows(data / f"train_{rule}.tsv", [("text", "label"), *rows])
    (out / "task.yaml").write_text(yaml.safe_dump(_TASK, sort_keys=False))
    encoder = out / "encoder"
    notes = encoder / "landscape.json"
    settings = {"seed": seed, "step": pretrain_steps}
    if not notes.is_file() or json.loads(notes.read_text()) != settings:
        pretrain_encoder(encoder, pretrain_steps, seed, report)
    chosen = populations(per_rule, controls)
    train_populations(chosen, sets, encoder, out / "checkpoints", steps, report)
    configs = []
    for population in chosen:
        content = {
            "name": population.name,
            "checkpoints": [f"checkpoints/{population.name}/*"],
            "task": "task.yaml",
            "examples": 384,
            "evaluate": {"max_length": 16},
            "out": f"results/{population.name}",
        }
        path = out / f"{population.name}.yaml"
        path.write_text(f"# {population.why}\n" + yaml.safe_dump(content, sort_keys=False))
        configs.append(path)
    return configs


def _write_phrases(path: Path, phrases: Sequence[Phrase]) -> None:
    rows = [(p.text, p.head, p.attractors, f"adverb {p.adverb}") for p in phrases]
    _write_rows(path, [("text", "label", "attractors", "adverb"), *rows])


def _write_rows(path: Path, rows: Sequence[tuple[str, ...]]) -> None:
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
