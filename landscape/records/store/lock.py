"""One driver a store, from before there is a store until the driver ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from landscape.core.errors import StoreError
from landscape.records.store.disk import writing

try:
    import fcntl
except ImportError:  # a system without them; HDF5 locks what it can there
    fcntl = None  # type: ignore[assignment]

_UNKNOWN = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def lock_store(path: Path) -> Iterator[None]:
    """Hold a store, whether or not it is there yet, against all other drivers.

    The lock is the operating system's: it ends with the process, however that ends. A file system
    that has no such locks has none here either, nor has a folder that cannot be written: no store
    can be made in it. A ``StoreWriter`` asks for a lock of its own.

    Args:
        path: The store. The lock lies beside it, in ``.NAME.lock``.

    Raises:
        StoreError: Another process holds it, or the lock cannot be made.
    """
    lock = path.with_name(f".{path.name}.lock")
    fd = None
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fd = _held(lock, path)
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise
    try:
        yield
    finally:
        if fd is not None:
            with suppress(OSError):  # while it is held: who waits for it finds another file
                os.unlink(lock)
            os.close(fd)


def _held(lock: Path, path: Path) -> int:
    while True:
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            lock_file(fd, path)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), os.stat(lock)):
                    return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # its holder took it away meanwhile


def lock_file(fd: int, path: Path) -> None:
    """Take the lock of an open file, where its file system has locks.

    Raises:
        StoreError: Another process holds it.
    """
    if fcntl is None:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(
            "Another process is writing to the store.",
            where=path,
            fix="wait for it, or give this run another 'out'",
        ) from None
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
