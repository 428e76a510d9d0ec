"""Names of models: their order, and which name of one source is which of another."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath

from landscape.core.errors import DataError


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


def require_same_models(
    measured: Sequence[str], scored: Sequence[str], *, what: str, fix: str
) -> None:
    """Refuse two sources that do not name the same models, and say which names are near.

    Args:
        measured: The models of the curves or gaps.
        scored: The models of the other source.
        what: What the other source is, as in "... and <what> do not name the same models."
        fix: What to do.

    Raises:
        DataError: A name stands on one side only.
    """
    lines = []
    for names, others, side in (
        (measured, scored, f"not in the {what}"),
        (scored, measured, f"only in the {what}"),
    ):
        alone = sorted(set(names) - set(others), key=natural_key)
        if alone:
            shown = [_with_nearest(name, others) for name in alone[:5]]
            more = f" and {len(alone) - 5} more" if len(alone) > 5 else ""
            lines.append(f"{side}: {', '.join(shown)}{more}")
    if lines:
        raise DataError(
            f"The curves and the {what} do not name the same models.",
            expected=f"the same names on both sides, {len(set(measured))} in the curves",
            found="; ".join(lines),
            fix=fix,
        )


def _with_nearest(name: str, others: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, list(others), n=1) or [
        other for other in others if _ends_with(other, name) or _ends_with(name, other)
    ]
    return f"'{name}' (nearest: '{near[0]}')" if near else f"'{name}'"


def names_of_files(paths: Sequence[PurePath], known: Iterable[str] = ()) -> dict[PurePath, str]:
    """Which model each per-model file is about, from the files' names.

    A file is about the longest known model that its name ends in, at a border between letters,
    digits and signs. Where one of them ends in none, what all the names share at the front is
    left out (never half a number), and the rest is the model's name.

    Args:
        paths: The files.
        known: Names of models.

    Raises:
        DataError: Two files about one model.
    """
    stems = [path.stem for path in paths]
    models = sorted(known, key=len, reverse=True)
    found = [next((m for m in models if _ends_with(stem, m)), None) for stem in stems]
    if None in found:
        start = _shared_front(stems) if len(stems) > 1 else 0
        found = [name or stem[start:] for name, stem in zip(found, stems, strict=True)]
    names: dict[PurePath, str] = {}
    for path, name in zip(paths, found, strict=True):
        twin = next((other for other, taken in names.items() if taken == name), None)
        if twin is not None:
            raise DataError(
                f"Two files are about the model '{name}'.",
                where=f"{twin} and {path}",
                expected="one file a model, named after it",
            )
        names[path] = check_name(name, path)
    return names


def _ends_with(stem: str, name: str) -> bool:
    if not name or not stem.endswith(name):
        return False
    before = stem[: len(stem) - len(name)][-1:]
    return not (
        (before.isdigit() and name[0].isdigit()) or (before.isalpha() and name[0].isalpha())
    )


def _shared_front(stems: Sequence[str]) -> int:
    """How much of the front all names share, back to a border, with something left of each."""
    shortest = min(map(len, stems))
    start = next((i for i in range(shortest) if len({s[i] for s in stems}) > 1), shortest)
    while start and any(not _ends_with(stem, stem[start:]) for stem in stems):
        start -= 1
    return start
