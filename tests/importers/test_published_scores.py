from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, matthews_corrcoef

from landscape.core.errors import DataError
from landscape.importers.evaluations import read_evaluations
from landscape.importers.names import names_of_files
from landscape.tasks import Examples
from tests.data import make_published as made

DATA = Path(__file__).parents[1] / "data" / "published"
FILES = sorted((DATA / "evaluations").iterdir())
LABELS = np.array([made.HANS_LABELS.index(row[2]) for row in made.SENTENCES])


def entailment(model: str) -> np.ndarray:
    return np.array([made.hans(model, k) for k in range(len(made.SENTENCES))])


def hans_examples(order: list[int]) -> Examples:
    rows = [made.SENTENCES[k] for k in order]
    return Examples(
        name="hans",
        texts=(tuple(r[0] for r in rows), tuple(r[1] for r in rows)),
        labels=np.array([made.HANS_LABELS.index(r[2]) for r in rows]),
        label_names=made.HANS_LABELS,
        classes=((0,), (1, 2)),
        groups={"subcase": np.array([r[3] for r in rows])},
        metric="accuracy",
    )


def written(folder: Path, content: object, name: str = "hans_eval_7.json") -> list[Path]:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return [folder / name]


def test_scores_of_predictions() -> None:
    found = read_evaluations(FILES, "accuracy", None, made.MODELS)
    assert set(found.index) == set(made.MODELS)
    for model in made.MODELS:
        p = entailment(model)
        guesses = (p < 0.5).astype(int)
        assert found.loc[model, "hans"] == accuracy_score(LABELS, guesses)
        for k, name in enumerate(made.HANS_LABELS):
            rows = np.equal(LABELS, k)
            score = accuracy_score(LABELS[rows], guesses[rows])
            assert found.loc[model, f"hans: {name}"] == score
        loss = log_loss(LABELS, np.stack([p, 1 - p], 1))
        assert found.loc[model, "hans (loss)"] == pytest.approx(loss)


def test_matthews_correlation_of_predictions() -> None:
    found = read_evaluations(FILES, "matthews", None, made.MODELS)
    assert list(found.columns) == ["hans", "hans (loss)"]
    for model in made.MODELS:
        guesses = (entailment(model) < 0.5).astype(int)
        assert found.loc[model, "hans"] == pytest.approx(matthews_corrcoef(LABELS, guesses))


def test_texts_that_are_not_in_the_set(tmp_path: Path) -> None:
    texts = [f"{row[0]} {row[1].upper()}" for row in made.SENTENCES[:2]]
    right = {"probabilities": [0.5, 0.5], "label": 0}
    samples = [{**right, "sentence": text} for text in texts]
    files = written(tmp_path, {"samples": samples})
    found = read_evaluations(files, "accuracy", hans_examples([0, 1]), ()).iloc[0]
    assert (found["hans: swap"], found["hans: label 0"]) == (1, 1)
    with pytest.raises(DataError, match=r"1 of 2 samples(.|\n)*eval_7.json"):
        read_evaluations(files, "accuracy", hans_examples([0]), ())


@pytest.mark.parametrize(
    "change",
    [
        {"samples": []},
        {"samples": [{"probabilities": [0.5, 0.5]}]},
        {"samples": [{"probabilities": [0.5, 0.5], "label": 2}]},
        {"samples": [{"probabilities": [0.5, math.nan], "label": 0}]},
        {"label_dict": {"a": 0, "b": 0}},
    ],
)
def test_files_of_other_things(change: dict[str, Any], tmp_path: Path) -> None:
    content = {"samples": [{"probabilities": [0.5, 0.5], "label": 0}], **change}
    files = written(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_evaluations(files, "accuracy", None, ())
    assert caught.value.parts["where"] == files[0]


def test_names_of_files() -> None:
    def names(stems: list[str], known: tuple[str, ...] = ()) -> list[str]:
        return list(names_of_files([Path(f"{stem}.json") for stem in stems], known))

    assert names(["hans_eval_bert_7", "hans_eval_bert_22"], ("2", "7", "22")) == ["7", "22"]
    assert names(["run-7", "run-7b", "other"], ("7", "7b")) == ["7", "7b", "other"]
    with pytest.raises(DataError, match=r"where: a_7\.json and b_7\.json"):
        names(["a_7", "b_7"], ("7",))
