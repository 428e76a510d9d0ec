"""Files of torch.save that are written at once or not at all."""

from __future__ import annotations

import errno
import resource
import signal
from pathlib import Path

import pytest
import torch

from landscape.checkpoints.torch_files import read_torch_file, write_torch_file


def test_what_does_not_fit_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    write_torch_file({"a": torch.arange(4.0), "step": 3}, path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        with pytest.raises(OSError, match=r"state\.pt") as caught:
            write_torch_file({"a": torch.zeros(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.errno == errno.EFBIG
    found = read_torch_file(path)
    assert torch.equal(found["a"], torch.arange(4.0))
    assert found["step"] == 3
    assert list(tmp_path.iterdir()) == [path]
