"""Names of models: their order, and which name of one source is which of another."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath

from landscape.core.errors import DataError

MAX_MODELS = 10_000


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key by which ``7`` stands before ``10``, and ``seed-9`` before ``seed-10``."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((0, int(p), p) if p[0] in "0123456789" else (1, 0, p) for p in parts)


def check_name(name: object, where: object, what: str = "model") -> str:
    """A name without the space around it.

    Raises:
        DataError: No text, nothing left, or characters that cannot be printed.
    """
    text = name.strip() if isinstance(name, str) else ""
    if not text or len(text) > 500 or not text.isprintable():
        raise DataError(
            f"The name of a {what} cannot be used.",
            where=where,
            expected="printable text of up to 500 characters",
            found=repr(name)[:80],
        )
    return text


def shared_models(
    models: Sequence[str], others: Sequence[str], what: str, allow_missing: bool
) -> tuple[set[str], list[str]]:
    """The models that two sources share, and a line about each side's that are left out.

    Args:
        models: Of the curves or gaps.
        others: Of the other source.
        what: What that is, as in "... and the <what> do not name the same models."
        allow_missing: Leave out what stands on one side only.

    Raises:
        DataError: A model stands on one side only, and that is not allowed; those are named, with
            the nearest name of the other side.
    """
    lines, shown = [], []
    for names, opposite, side in (
        (models, others, f"not in the {what}"),
        (others, models, f"only in the {what}"),
    ):
        if alone := sorted(set(names) - set(opposite), key=natural_key):
            lines.append(f"left out, {side}: {', '.join(alone)}")
            more = f" and {len(alone) - 5} more" if len(alone) > 5 else ""
            shown.append(
                f"{side}: {', '.join(_with_nearest(n, opposite) for n in alone[:5])}{more}"
            )
    if shown and not allow_missing:
        raise DataError(
            f"The curves and the {what} do not name the same models.",
            expected=f"the same names on both sides, {len(set(models))} in the curves",
            found="; ".join(shown),
            fix="mend the names, or leave out the models that do not match (--allow-missing)",
        )
    return set(models) & set(others), lines


def _with_nearest(name: str, others: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, list(others), n=1) or [
        other for other in others if _ends_with(other, name) or _ends_with(name, other)
    ]
    return f"'{name}' (nearest: '{near[0]}')" if near else f"'{name}'"


def names_of_files(paths: Sequence[PurePath], known: Iterable[str] = ()) -> dict[PurePath, str]:
    """Which model each per-model file is about, from the files' names.

    A file is about the longest known model that its name ends in, at a border between letters,
    digits and signs; where there is none, the model is called as the file.

    Args:
        paths: The files.
        known: Names of models.

    Raises:
        DataError: Two files about one model.
    """
    models = sorted(known, key=len, reverse=True)
    names = [next((m for m in models if _ends_with(p.stem, m)), p.stem) for p in paths]
    if len(set(names)) < len(names):
        twin = next(name for k, name in enumerate(names) if name in names[:k])
        both = [str(p) for p, name in zip(paths, names, strict=True) if name == twin]
        raise DataError(
            f"Two files are about the model '{twin}'.",
            where=" and ".join(both),
            expected="one file a model, named after it",
        )
    return {path: check_name(name, path) for path, name in zip(paths, names, strict=True)}


def _ends_with(stem: str, name: str) -> bool:
    if not name or not stem.endswith(name):
        return False
    before = stem[: len(stem) - len(name)][-1:]
    return not (
        (before.isdigit() and name[0].isdigit()) or (before.isalpha() and name[0].isalpha())
    )
