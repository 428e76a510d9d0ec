"""The errors that are the user's to mend: what, where, expected, found, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Self


class LandscapeError(Exception):
    """A mistake in what the user gave; the command line exits with code 2.

    Args:
        what: One sentence that says what is wrong.
        where: The file, checkpoint, tensor or key.
        expected: What would have been right.
        found: What is there instead.
        fix: What to do.
    """

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        found: object = None,
        fix: Any = None,
    ) -> None:
        parts = {"where": where, "expected": expected, "found": found, "to fix": fix}
        self.parts = {name: value for name, value in parts.items() if value is not None}
        lines = [f"  {name}: {value}" for name, value in self.parts.items()]
        super().__init__("\n".join([what, *lines]))
        self.what = what

    def within(self, where: object) -> Self:
        """The same error, of a part of something larger."""
        inner = self.parts.get("where")
        parts = {**self.parts, "where": where if inner is None else f"{inner} of {where}"}
        return type(self)(self.what, fix=parts.pop("to fix", None), **parts)


class ConfigError(LandscapeError, ValueError):
    """A configuration or an argument that cannot be used."""


class CheckpointError(LandscapeError, ValueError):
    """A checkpoint, or a population of them, that cannot be read or compared."""


class DataError(LandscapeError, ValueError):
    """A data file that cannot be read as the task says."""


class StoreError(LandscapeError, OSError):
    """A store that cannot be read, written or resumed."""


def require_known(
    what: str, value: str, known: Iterable[str], *, where: object = None, also: str = ""
) -> None:
    """Refuse a name that is not there, and say which one is nearest.

    Args:
        what: What is named, as in "There is no <what> '<value>'."
        value: The name.
        known: The names that are there.
        where: Where the name stands.
        also: What else would do, after the names.

    Raises:
        ConfigError: ``value`` is not in ``known``.
    """
    names = list(known)
    if value in names:
        return
    near = difflib.get_close_matches(value, names, n=1)
    raise ConfigError(
        f"There is no {what} '{value}'.",
        where=where,
        expected=f"one of {', '.join(names)}{also}",
        fix=f"did you mean '{near[0]}'?" if near else None,
    )
