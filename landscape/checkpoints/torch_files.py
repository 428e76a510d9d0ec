"""Files of ``torch.save``, read without running what is in them."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from landscape.core.files import replacing


def read_torch_file(path: Path) -> Any:
    """What ``torch.save`` wrote; arrays stay on disk where the format allows it.

    Raises:
        pickle.UnpicklingError: It holds more than tensors; nothing was run.
        ValueError: It is truncated or damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of rare protocols
            # mapped, so that only the pages in use are read; the oldest format cannot be
            mapped = zipfile.is_zipfile(path)
            return torch.load(path, weights_only=True, mmap=mapped, map_location="cpu")
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # damaged files end in errors of every kind
        said = str(error).splitlines()
        raise ValueError(said[0][:300] if said else type(error).__name__) from None


def write_torch_file(content: Any, path: Path) -> None:
    """Put what ``torch.save`` makes of something in a file's place, at once or not at all."""
    with replacing(path) as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch calls a full disk an internal error
                raise error.__context__ from None
            raise
