"""Names of models: which can be used, their order, and which model a file is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from landscape.core.errors import DataError


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key by which ``7`` stands before ``10``, and ``seed-9`` before ``seed-10``."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((0, int(p), p) if p[0] in "0123456789" else (1, 0, p) for p in parts)


def check_name(name: object, where: object, what: str = "model") -> str:
    """A name without the space around it, if it is printable text."""
    text = name.strip() if isinstance(name, str) else ""
    if not text or len(text) > 500 or not text.isprintable():
        raise DataError(
            f"The name of a {what} cannot be used.",
            where=where,
            expected="printable text of up to 500 characters",
            found=repr(name)[:80],
        )
    return text


def names_of_files(paths: Sequence[Path], models: Iterable[str]) -> dict[str, Path]:
    """Files by the longest of the models that their name ends in, else by their own name."""
    longest_first = sorted(models, key=len, reverse=True)
    files: dict[str, Path] = {}
    for path in paths:
        name = next((model for model in longest_first if _ends_with(path.stem, model)), path.stem)
        if name in files:
            raise DataError(
                f"Two files are about the model '{name}'.",
                where=f"{files[name]} and {path}",
                expected="one file a model, named after it",
            )
        files[check_name(name, path)] = path
    return files


def _ends_with(stem: str, name: str) -> bool:
    """Whether it does, at a border between letters, digits and signs."""
    before = stem.removesuffix(name)[-1:]
    return stem.endswith(name) and not (
        (before.isdigit() and name[0].isdigit()) or (before.isalpha() and name[0].isalpha())
    )
