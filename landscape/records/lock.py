"""One driver a run: two of them would do the same work."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from landscape.core.errors import StoreError
from landscape.records.writing import writing

try:
    import fcntl
except ImportError:  # a system without them, where stores are read all the same
    fcntl = None  # type: ignore[assignment]

_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}


@contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Hold a run's folder against all other drivers; the lock ends with the process.

    Where a file system has no locks there is none: two drivers then measure the same, and write
    the same bytes.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                "Another process is writing to the run.",
                where=folder,
                fix="wait for it, or give this run another 'out'",
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        for left in (*folder.glob(".*.partial"), *folder.glob("records/**/.*.partial")):
            with suppress(OSError):  # of a writer that was killed
                left.unlink()
        yield
    finally:
        os.close(file)
