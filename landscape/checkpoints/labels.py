"""Which row of a classification head speaks for which label of the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from landscape.core.errors import CheckpointError


def match_labels(
    names: Sequence[str],
    task_labels: Sequence[str],
    label_map: Mapping[str, str] | None,
    where: object,
) -> tuple[int, ...]:
    """For each of the task's labels, the row of the checkpoint's head that speaks for it.

    ``label_map`` goes from the checkpoint's names to the task's, where they differ.

    Raises:
        CheckpointError: The names do not lead to the task's labels one to one.
    """
    if len(names) != len(task_labels):
        raise CheckpointError(
            "The checkpoint has a wrong number of labels.",
            where=where,
            expected=f"{len(task_labels)} ({', '.join(task_labels)})",
            found=f"{len(names)} ({', '.join(names)})",
        )
    label_of = {_plain(label): label for label in task_labels}
    label_of |= {_plain(name): label for name, label in (label_map or {}).items()}
    meant = [label_of.get(_plain(name)) for name in names]
    if sorted(map(str, meant)) != sorted(task_labels):
        mapped = f" (mapped to {', '.join(map(str, meant))})" if label_map else ""
        raise CheckpointError(
            "The checkpoint's labels cannot be matched to the task's.",
            where=where,
            expected=", ".join(task_labels),
            found=", ".join(names) + mapped,
            fix="say which is which: label_map: {" + f"{names[0]}: {task_labels[0]}, ..." + "}",
        )
    return tuple(meant.index(label) for label in task_labels)


def _plain(name: str) -> str:
    return name.strip().casefold().replace("_", "-").replace(" ", "-")


@dataclass(frozen=True)
class LabelSuspicion:
    """A checkpoint whose labels look permuted.

    Attributes:
        accuracy: As the labels are read now, in [0, 1].
        best_accuracy: With the permutation that fits best.
        permutation: For each label index now predicted, the index that fits.
    """

    accuracy: float
    best_accuracy: float
    permutation: tuple[int, ...]

    def advice(self, label_names: Sequence[str]) -> str:
        """One sentence for the user."""
        fits = ", ".join(
            f"{label_names[i]}: {label_names[j]}" for i, j in enumerate(self.permutation)
        )
        return (
            f"accuracy {self.accuracy:.3f} is below chance; with the labels read as "
            f"{{{fits}}} it would be {self.best_accuracy:.3f}: see 'label_map'"
        )


def suspect_labels(
    predictions: np.ndarray, labels: np.ndarray, n_labels: int
) -> LabelSuspicion | None:
    """Look for a permutation of the labels that explains an accuracy below chance.

    Predictions and labels (n_examples,) are indices. Below 1/n_labels as read, while some
    permutation stands three standard errors above it. A right map gives None, and so does a model
    that is merely bad.
    """
    confusion = np.zeros((n_labels, n_labels))
    np.add.at(confusion, (predictions, labels), 1)
    rows, columns = linear_sum_assignment(confusion, maximize=True)
    n, chance = len(labels), 1 / n_labels
    accuracy = float(np.trace(confusion) / n)
    best = float(confusion[rows, columns].sum() / n)
    margin = 3 * np.sqrt(chance * (1 - chance) / n)
    if accuracy >= chance or best <= chance + margin:
        return None
    return LabelSuspicion(accuracy, best, tuple(int(column) for column in columns))
