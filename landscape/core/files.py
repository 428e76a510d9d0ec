"""Files read, and written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from landscape.core.errors import DataError


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


def read_bytes(path: Path) -> bytes:
    """A whole file; a DataError where it cannot be read."""
    if path.exists() and not path.is_file():  # a device or a pipe may have no end
        raise DataError("This is no file.", where=path)
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise DataError("The file cannot be read.", where=path, found=error) from None
