"""What a disk refuses, as one error."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from landscape.core.errors import StoreError

_AGAIN = "then give the same command again: what was measured is kept"
_FIX = {
    errno.ENOSPC: f"free some space, {_AGAIN}",
    errno.EDQUOT: f"free some space, {_AGAIN}",
    errno.EFBIG: f"raise the limit on the size of files (ulimit -f), {_AGAIN}",
    errno.EROFS: f"make the folder writable, {_AGAIN}",
    errno.EACCES: f"make the folder and the file writable, {_AGAIN}",
    errno.EPERM: f"make the folder and the file writable, {_AGAIN}",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise what the operating system refuses as one error."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(
            "Results cannot be written.",
            where=error.filename or path,
            found=error.strerror or error,
            fix=_FIX.get(error.errno or 0, f"see to the disk, {_AGAIN}"),
        ) from None
