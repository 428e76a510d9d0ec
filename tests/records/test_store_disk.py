"""Disks that fail, and the lock of a driver."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landscape.core.errors import StoreError
from landscape.records.store import (
    StoreWriter,
    disk,
    lock,
    lock_store,
    read_store,
)
from tests.records.test_store import fill, make, outputs
from tests.records.test_store_damage import everything, way

ROOT = Path(__file__).parents[2]
WRITES: dict[str, Callable[[StoreWriter], object]] = {
    "pair": lambda writer: writer.write_pair(1, outputs(11, 2)),
    "model": lambda writer: writer.write_model(2, outputs(2)),
    "distances": lambda writer: writer.write_distances(np.ones((3, 3))),
    "plan": lambda writer: writer.add_plan({"a": 1}),
    "points": lambda writer: writer.add_points(way()),
    "finish": lambda writer: writer.finish({"name": "x"}),
}


def half(path: Path) -> Path:
    """Three models and one of three pairs are measured."""
    make(path)
    with StoreWriter(path) as writer:
        for i in range(3):
            writer.write_model(i, outputs(i))
        writer.write_pair(0, outputs(10, 2))
    return path


def other_process(body: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What a process of its own says, which HDF5 must not crash when it ends."""
    code = f"from pathlib import Path\nfolder = Path({str(folder)!r})\n" + body
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        done = False
    if not done:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_error_and_keeps_what_was_measured(small_disk: Path) -> None:
    """In a process of its own: what HDF5 could not write must not crash it when it ends."""
    path = half(small_disk / "store.h5")
    before = everything(read_store(path))
    filler = small_disk / "filler"
    filler.write_bytes(bytes(1 << 20)[: _room(small_disk) - 30_000])
    body = """
from landscape.records import StoreWriter, read_store
from landscape.core.errors import StoreError
from tests.records.test_store import make, outputs
from tests.records.test_store_disk import WRITES
for name, write in WRITES.items():
    try:
        with StoreWriter(folder / "store.h5") as writer:
            write(writer)
        print(name, "written")
    except StoreError as error:
        print(name, str(error).replace(chr(10), " "))
try:
    make(folder / "another.h5")
except StoreError as error:
    print("create", str(error).replace(chr(10), " "))
"""
    run = other_process(body, small_disk)
    assert (run.returncode, run.stderr) == (0, "")
    said = dict(line.split(" ", 1) for line in run.stdout.splitlines())
    # what is written in place has its room already
    assert [name for name, line in said.items() if line == "written"] == [
        "pair",
        "model",
        "distances",
    ]
    for name in ("plan", "points", "finish", "create"):
        assert "The store cannot be written." in said[name]
        assert "found: No space left on device" in said[name]
        assert "to fix: free some space, then give the same command again" in said[name]
    assert sorted(file.name for file in small_disk.iterdir()) == ["filler", "store.h5"]
    contents = read_store(path)
    assert contents.status.tolist() == [1, 1, 0]
    filler.unlink()
    fill(path)
    assert read_store(path).status.tolist() == [1, 1, 1]
    assert before.keys() <= everything(read_store(path)).keys()


def _room(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_bsize


@pytest.mark.parametrize("limit", [0, 20_000, 50_000, 65_000])
def test_a_limit_on_the_size_of_files_is_one_error(tmp_path: Path, limit: int) -> None:
    """Wherever in a file the writing ends."""
    path = half(tmp_path / "store.h5")
    before = path.read_bytes()
    body = f"""
import resource, signal
from landscape.records.store import StoreWriter, write_published
from landscape.core.errors import StoreError
from tests.records.test_store import make
from tests.records.test_store_published import given
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
def finish():
    with StoreWriter(folder / "store.h5") as writer:
        writer.finish({{"name": "x"}})
def published():
    write_published(folder / "published.h5", **given())
for use in (finish, published, lambda: make(folder / "new.h5")):
    try:
        use()
        print("written")
    except StoreError as error:
        print(str(error).replace(chr(10), " "))
"""
    run = other_process(body, tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    lines = run.stdout.splitlines()
    assert len(lines) == 3
    refused = [line for line in lines if line != "written"]
    assert len(refused) == 3 if limit < 50_000 else refused
    for line in refused:
        assert "The store cannot be written." in line
        assert "found: File too large" in line
        assert "raise the limit on the size of files (ulimit -f)" in line
    assert not [file.name for file in tmp_path.iterdir() if file.name[0] == "."]
    if "written" not in lines[:1]:
        assert path.read_bytes() == before


@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("name", WRITES)
def test_each_method_says_what_the_disk_says(
    tmp_path: Path, name: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = half(tmp_path / "store.h5")
    before = everything(read_store(path))

    def fail(fd: int, data: Any, offset: int) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as context, StoreWriter(path) as writer:
        context.setattr(disk.os, "pwrite", fail)
        with pytest.raises(
            StoreError, match=rf"cannot be written(?s:.*){os.strerror(code)}"
        ) as error:
            WRITES[name](writer)
    assert str(path) in str(error.value)
    assert "then give the same command again: what was measured is kept" in str(error.value)
    assert everything(read_store(path)) == before
    assert [file.name for file in tmp_path.iterdir()] == ["store.h5"]
    with StoreWriter(path) as writer:
        WRITES[name](writer)


def test_a_new_store_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever write fails."""
    plain, left, n = os.pwrite, 0, 0

    def fail(fd: int, data: Any, offset: int) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return plain(fd, data, offset)

    path = tmp_path / "store.h5"
    while not path.exists():
        left, n = n, n + 7
        with monkeypatch.context() as context:
            context.setattr(disk.os, "pwrite", fail)
            try:
                make(path)
            except StoreError:
                assert list(tmp_path.iterdir()) == []
    assert read_store(path).status.tolist() == [0, 0, 0]
    assert n > 50


def test_what_fails_when_the_file_takes_its_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = half(tmp_path / "store.h5")

    def fail(source: object, target: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as context, StoreWriter(path) as writer:
        context.setattr("landscape.records.store.replace.os.replace", fail)
        with pytest.raises(StoreError, match=r"cannot be written(?s:.*)make the folder"):
            writer.add_plan({"a": 1})
        assert writer.plans() == []
        with pytest.raises(StoreError, match="cannot be written"):
            make(tmp_path / "new.h5")
        assert [file.name for file in tmp_path.iterdir()] == ["store.h5"]
        assert writer.pairs_to_measure().tolist() == [1, 2]


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder with half a store that not even root can write to."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    half(folder / "store.h5")
    steps = [["--bind", str(folder), str(folder)], ["-o", "remount,ro,bind", str(folder)]]
    try:
        done = all(
            subprocess.run(["mount", *s], capture_output=True).returncode == 0 for s in steps
        )
    except FileNotFoundError:
        done = False
    if not done:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_read_only_folder_is_read_and_not_written(read_only: Path) -> None:
    path = read_only / "store.h5"
    assert read_store(path).status.tolist() == [1, 0, 0]
    with pytest.raises(StoreError, match=r"cannot be written(?s:.*)Read-only(?s:.*)writable"):
        StoreWriter(path)
    with pytest.raises(StoreError, match=r"cannot be written(?s:.*)Read-only"):
        make(read_only / "new.h5")
    with lock_store(path):  # a finished store is drawn from there
        pass


def test_a_driver_holds_a_store_that_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "store.h5"
    with lock_store(path):
        with pytest.raises(StoreError, match="Another process is writing to the store"):
            lock_store(path).__enter__()
        body = (
            "from landscape.records.store import lock_store"
            "with lock_store(folder / 'store.h5'): print('held')"
        )
        run = other_process(body, path.parent)
        assert "Another process is writing to the store" in run.stderr
        with lock_store(tmp_path / "deep" / "other.h5"):
            pass
        assert [file.name for file in path.parent.iterdir()] == [".store.h5.lock"]
    assert list(path.parent.iterdir()) == []
    assert other_process(body, path.parent).stdout == "held\n"


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from landscape.records.store import lock_store\n"
        f"with lock_store(Path({str(tmp_path / 'store.h5')!r})):\n"
        "    print('held', flush=True)\n    time.sleep(100)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(StoreError, match="Another process"), lock_store(tmp_path / "store.h5"):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert (tmp_path / ".store.h5.lock").exists()
    with lock_store(tmp_path / "store.h5"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_of_many_drivers_one_at_a_time_holds_the_store(tmp_path: Path) -> None:
    """Who takes the lock away leaves nobody with a lock on a file that is gone."""
    code = f"""
import sys
from pathlib import Path
from landscape.core.errors import StoreError
from landscape.records.store import lock_store
folder, own, times = Path({str(tmp_path)!r}), 0, 0
while own < 60 and times < 100_000:
    times += 1
    try:
        with lock_store(folder / "store.h5"):
            mark = folder / "mark"
            mark.touch(exist_ok=False)
            mark.unlink()
            own += 1
    except StoreError:
        pass
"""
    workers = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for worker in workers:
        assert worker.communicate()[1] == b""
        assert worker.returncode == 0


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP])
def test_where_there_are_no_locks_there_is_none(
    tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int, how: int) -> None:
        raise OSError(code, os.strerror(code))

    path = half(tmp_path / "store.h5")
    monkeypatch.setattr(lock.fcntl, "flock", fail)
    with lock_store(path), StoreWriter(path) as writer:
        writer.write_pair(1, outputs(11, 2))
    monkeypatch.setattr(lock, "fcntl", None)
    with lock_store(path), StoreWriter(path) as writer:
        writer.write_pair(2, outputs(12, 2))
    assert read_store(path).status.tolist() == [1, 1, 1]
