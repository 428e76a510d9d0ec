"""Checkpoints that are read tensor by tensor while a run goes on, and must stay what they were."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from safetensors import SafetensorError
from torch import Tensor

from landscape.checkpoints import Checkpoint, Population
from landscape.core.errors import CheckpointError

_PAUSES = (0.2, 1.0, None)  # seconds after a failed reading


def fingerprints_of(population: Population) -> dict[str, str]:
    """From each checkpoint's folder to its ``fingerprint`` as it is now.

    Raises:
        CheckpointError: A weight file is gone.
    """
    return {str(checkpoint.path): _fingerprint(checkpoint) for checkpoint in population.checkpoints}


def _fingerprint(checkpoint: Checkpoint) -> str:
    try:
        return checkpoint.fingerprint()
    except OSError as error:
        raise _unreadable(checkpoint, error) from None


def refuse_replaced(checkpoint: Checkpoint, expected: str | None) -> None:
    """After its weights were read: they must be those that the run began with.

    Raises:
        CheckpointError: They are not, or not any more.
    """
    fingerprint = _fingerprint(checkpoint)
    if expected is not None and fingerprint != expected:
        raise CheckpointError(
            "A checkpoint was changed while it was being measured.",
            where=checkpoint.path,
            expected=expected,
            found=fingerprint,
            fix="restore it and run again: what was finished before the change is kept",
        )


def refusing_changes(population: Population, fingerprints: Mapping[str, str]) -> Population:
    """The same models, each tensor refused that is read after its file was changed."""

    def checked(checkpoint: Checkpoint) -> Checkpoint:
        expected = fingerprints.get(str(checkpoint.path))
        check = partial(refuse_replaced, checkpoint, expected)
        params = replace(checkpoint.params, read=_patient(checkpoint), check=check)
        return replace(checkpoint, params=params)

    return replace(population, checkpoints=tuple(map(checked, population.checkpoints)))


def _patient(checkpoint: Checkpoint) -> Callable[[str], Tensor]:
    def read(name: str) -> Tensor:
        for pause in _PAUSES:
            try:
                return checkpoint.params.read(name)
            except (OSError, SafetensorError) as error:
                if pause is None:
                    raise _unreadable(checkpoint, error) from None
                time.sleep(pause)  # a file server's bad moment
        raise AssertionError("the last pause ends it")

    return read


def _unreadable(checkpoint: Checkpoint, error: Exception) -> CheckpointError:
    return CheckpointError(
        "A checkpoint cannot be read any more.",
        where=checkpoint.path,
        found=error,
        fix="see that it is still there, and run again: what was finished is kept",
    )
