"""Writing where disks fail: each error of the operating system is one ``StoreError``.

HDF5 does not outlive a write that fails: what it could not write it tries again when the process
ends, and crashes. So it is never let known of one.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import h5py

from landscape.core.errors import StoreError
from landscape.records.store.heaps import refuse_endless

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
    """Raise what the operating system refuses as one error.

    Raises:
        StoreError: An ``OSError`` within.
    """
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(
            "The store cannot be written.",
            where=path,
            found=error.strerror or error,
            fix=_FIX.get(error.errno or 0, f"see to the disk, {_AGAIN}"),
        ) from None


@contextmanager
def guarded(path: Path, mode: Literal["w", "r+"], block: int = 0) -> Iterator[h5py.File]:
    """An HDF5 file to write.

    Args:
        path: The file.
        mode: ``w``: a new one; ``r+``: one that is there.
        block: Bytes of the user block of a new one, 0 or a power of two from 512.

    Raises:
        OSError: Something could not be written; HDF5 is done with the file.
    """
    options: dict[str, Any] = {"userblock_size": block} if mode == "w" else {}
    with Guarded(path, mode) as raw:
        try:
            with h5py.File(raw, mode, driver="fileobj", **options) as file:
                yield file
        except Exception:
            if raw.error is None:
                raise
        if raw.error is not None:  # the first one; HDF5 may have stumbled over its consequences
            raise raw.error


class Guarded(io.RawIOBase):
    """A file that takes whatever is written and keeps the first error for later.

    Attributes:
        error: What the first write that failed raised; nothing was written since.
    """

    def __init__(self, path: Path, mode: Literal["w", "r+"]) -> None:
        flags = os.O_RDWR | os.O_CLOEXEC
        flags |= os.O_CREAT | os.O_TRUNC if mode == "w" else 0
        self._fd: int | None = os.open(path, flags, 0o666)
        self._place = 0
        self._end = os.fstat(self._fd).st_size
        self.error: BaseException | None = None

    def close(self) -> None:
        """What comes later is ignored."""
        fd, self._fd = self._fd, None
        super().close()
        if fd is not None:
            os.close(fd)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place."""
        self._place = offset + (0, self._place, self._end)[whence]
        return self._place

    def tell(self) -> int:
        """The place."""
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, with zeros past the end."""
        view = memoryview(buffer).cast("B")
        view[:] = bytes(len(view))
        if self._fd is not None:
            with suppress(OSError):  # HDF5 says what it cannot make of zeros
                _read_all(self._fd, view, self._place)
        return len(view)

    def write(self, data: Any) -> int:
        """Write, or keep the error."""
        view = memoryview(data).cast("B")
        self._end = max(self._end, self._place + len(view))
        if self.error is None and self._fd is not None:
            try:
                write_all(self._fd, view, self._place)
            except BaseException as error:
                self.error = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Change the size, or keep the error."""
        self._end = self._place if size is None else size
        if self.error is None and self._fd is not None:
            try:
                os.ftruncate(self._fd, self._end)
            except BaseException as error:
                self.error = error
        return self._end

    def flush(self) -> None:
        """Nothing is held back."""


def open_to_read(path: Path) -> h5py.File:
    """Without a lock, so that a run that writes is no obstacle."""
    refuse_endless(path)
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        return h5py.File(path, "r")  # this process has it open already


def write_all(fd: int, data: Any, offset: int) -> None:
    """Write all bytes at a place of an open file."""
    view = memoryview(data).cast("B")
    done = 0
    while done < len(view):
        done += os.pwrite(fd, view[done:], offset + done)


def _read_all(fd: int, view: memoryview, offset: int) -> None:
    done = 0
    while done < len(view) and (n := os.preadv(fd, [view[done:]], offset + done)):
        done += n
