"""Files read with a limit, and written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from landscape.core.errors import DataError

MAX_BYTES = 256 * 2**20


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes its place at the end, at once.

    Args:
        path: Where; what is there stays until then, and for good where anything is raised.

    Raises:
        OSError: The disk is full, or fails; it names ``path``.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # a power cut must not leave the name without the bytes
        os.replace(partial, path)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """A whole file.

    Raises:
        DataError: Not there, or larger than ``max_bytes``.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise DataError("The file cannot be read.", where=path, found=error) from None
    if len(data) > max_bytes:
        raise DataError("The file is too large.", where=path, expected=f"up to {max_bytes} bytes")
    return data
