"""Makes small files in published forms: ``python -m tests.data.make_published``.

The numbers follow from ``loss``, ``accuracy`` and ``hans``: models 7 and 22 lie in one basin, 11,
33 and 98 in another. Nothing of the package has a part in it.
"""

from __future__ import annotations

import csv
import itertools
import json
import pickle
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).with_name("published")
MODELS = ("7", "11", "22", "33", "98")
PAIRS = tuple(itertools.combinations(MODELS, 2))
SMALL = ("7", "22")
N_POINTS = 10
SENTENCES = (
    ("The doctor paid the actor.", "The actor paid the doctor.", "non-entailment", "swap"),
    ("The actors that danced saw the author.", "The actors danced.", "entailment", "clause"),
    ("The judge by the actor stopped.", "The actor stopped.", "non-entailment", "phrase"),
    ("The senator knew the caf\u00e9's owner left.", "The owner left.", "entailment", "clause"),
    ("The lawyer near the king ran.", "The king ran.", "non-entailment", "phrase"),
    ("The lawyer saw the king.", "The king saw the lawyer.", "non-entailment", "swap"),
)
HANS_LABELS = ("entailment", "non-entailment")


def loss(first: str, second: str, t: float, hump: float = 0.2) -> float:
    """Nats at t of the way from the first model to the second."""
    ends = 0.4 + int(first) / 1000 * (1 - t) + int(second) / 1000 * t
    apart = (first in SMALL) != (second in SMALL)
    return ends + 4 * t * (1 - t) * (hump if apart else 0.01)


def accuracy(first: str, second: str, t: float) -> float:
    return 1 - loss(first, second, t) / 2


def hans(model: str, number: int) -> float:
    """The probability that a model gives to entailment."""
    sure = 0.8 if SENTENCES[number][2] == "entailment" else (0.3 if model in SMALL else 0.9)
    return round(sure - number * int(model) / 1000, 6)


def table(columns: list[str], row: list[float]) -> list[str]:
    """One row as the package tabulate aligns it."""
    cells = [str(row[0]), *(f"{value:8.4f}" for value in row[1:])]
    widths = [max(len(name) + 2, len(cell)) for name, cell in zip(columns, cells, strict=True)]
    lines = [columns, ["-" * width for width in widths], cells]
    return ["  ".join(c.rjust(w) for c, w in zip(x, widths, strict=True)) for x in lines]


def section(first: str, second: str, dataset: str, hump: float, n_rows: int = N_POINTS) -> str:
    """A pair as the log has it: point 0 is the second model."""
    lines = [
        f"Euclidean distance between {first} and {second}: {10 + int(first) / 7}.",
        f"Interpolating between {first} and {second} on {dataset}",
    ]
    for k in range(n_rows):
        t = 1 - k / (N_POINTS - 1)
        row = [k, loss(first, second, t, hump), accuracy(first, second, t)]
        lines += [f"{[1 - t, t]}", *table(["point_num", "loss", "accuracy"], row)]
    if n_rows == N_POINTS:
        lines.append(f"Completed interpolation from {first} to {second}")
    return "\n".join(lines) + "\n"


def dictionary(pairs: tuple[tuple[str, str], ...]) -> dict[tuple[str, str], object]:
    """Pairs as the interpolation pickles them: rows from the second model to the first."""
    found: dict[tuple[str, str], object] = {}
    for first, second in pairs:
        rows = []
        for k in range(N_POINTS):
            t = 1 - k / (N_POINTS - 1)
            rows.append([k, loss(first, second, t), np.float64(accuracy(first, second, t))])
        found[first, second] = (rows, 10 + int(first) / 7)
        found[second, first] = (rows[::-1], 10 + int(first) / 7)
    return found


def predictions(model: str) -> dict[str, object]:
    samples = []
    for number, (premise, hypothesis, label, _) in enumerate(SENTENCES):
        p = hans(model, number)
        text = f"[CLS] {premise} [SEP] {hypothesis} [SEP]".lower().replace("\u00e9", "e")
        samples.append(
            {
                "probabilities": [p, 1 - p],
                "logits": [p, 0.0, 0.1],
                "label": HANS_LABELS.index(label),
                "sentence": text.replace("[cls]", "[CLS]").replace("[sep]", "[SEP]"),
            }
        )
    return {"label_dict": {name: k for k, name in enumerate(HANS_LABELS)}, "samples": samples}


def gap(first: str, second: str) -> float:
    return 0.2 if (first in SMALL) != (second in SMALL) else 0.01


def write_rows(path: Path, rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def make(folder: Path) -> None:
    for name in ("mnli_interpol", "hans_interpol", "evaluations"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    noise = (
        "Some weights of the model were not used: ['cls.bias']\n 50%|#####     | 1/2\r100%|##|\n"
    )
    logs = folder / "mnli_interpol"
    whole = "".join(section(*pair, "mnli", 0.2) for pair in PAIRS[:6])
    (logs / "first.log").write_text(noise + whole + "Wrote the values to interpol.pkl!\n")
    # the same pair from its other end, then one whose job was killed
    twice = section("11", "7", "mnli", 0.2) + section(*PAIRS[6], "mnli", 0.2)
    (logs / "second.out").write_text(twice + section(*PAIRS[7], "mnli", 0.2, n_rows=7))
    (logs / "job.err").write_text("slurmstepd: error: *** JOB CANCELLED ***\n")
    (logs / "rest.pkl").write_bytes(pickle.dumps(dictionary(PAIRS[8:]), protocol=4))
    text = "".join(section(*pair, "hans", 1.0) for pair in PAIRS)
    (folder / "hans_interpol" / "all.log").write_text(text)
    for model in MODELS:
        path = folder / "evaluations" / f"hans_eval_bert_{model}.json"
        path.write_text(json.dumps(predictions(model), indent=1) + "\n")
    accuracies = {m: {"mnli": 0.84 + int(m) / 10000, "paws": 0.3 + int(m) / 200} for m in MODELS}
    write_rows(
        folder / "scores.csv",
        [
            ["model", "score", "value"],
            *([m, name, value] for m, row in accuracies.items() for name, value in row.items()),
        ],
    )
    write_rows(
        folder / "gaps.csv",
        [["model_a", "model_b", "gap"], *([b, a, gap(a, b)] for a, b in PAIRS)],
    )
    points = [
        [a, b, t, loss(a, b, t), accuracy(a, b, t)]
        for a, b in PAIRS
        for t in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    write_rows(folder / "curves.csv", [["model_a", "model_b", "t", "loss", "accuracy"], *points])


if __name__ == "__main__":
    make(FOLDER)
