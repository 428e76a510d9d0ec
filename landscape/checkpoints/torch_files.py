"""Files of ``torch.save``, looked at before torch reads them and after.

``weights_only`` keeps code from running, but not a file of a megabyte from unpacking to a
terabyte, nor a key of a dictionary from taking for ever to be hashed.
"""

from __future__ import annotations

import pickle
import pickletools
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from landscape.core.files import replacing
from landscape.core.restricted_pickle import check_instructions

_MAX_PICKLE = 2**26


def read_torch_file(path: Path) -> Any:
    """What ``torch.save`` wrote; arrays stay on disk where the format allows it.

    Raises:
        pickle.UnpicklingError: It holds more than tensors; nothing was run.
        ValueError: It is truncated or damaged, or its tensors need not fit into it.
    """
    try:
        archive = zipfile.is_zipfile(path)
        if archive:
            _check_archive(path)
        else:
            _check_old_format(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of rare protocols
            # mapped, so that only the pages in use are read; the oldest format cannot be
            content = torch.load(path, weights_only=True, mmap=archive, map_location="cpu")
        for tensor in content.values() if isinstance(content, dict) else ():
            if isinstance(tensor, Tensor):
                _check_tensor(tensor)
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # damaged files end in errors of every kind
        said = str(error).splitlines()
        raise ValueError(said[0][:300] if said else type(error).__name__) from None
    return content


def write_torch_file(content: Any, path: Path) -> None:
    """Put what ``torch.save`` makes of something in a file's place, at once or not at all."""
    with replacing(path) as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch calls a full disk an internal error
                raise error.__context__ from None
            raise


def _check_archive(path: Path) -> None:
    """An archive of torch.save packs nothing, so it holds no more than it has bytes."""
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("the archive is packed, which torch.save does not do")
        if sum(entry.file_size for entry in entries) > size:
            raise ValueError("the archive's entries are larger than the file")
        for entry in entries:
            if entry.filename.endswith("data.pkl"):
                if entry.file_size > _MAX_PICKLE:
                    raise ValueError(f"a pickle of {entry.file_size} bytes")
                with archive.open(entry) as file:
                    check_instructions(file.read())


def _check_old_format(path: Path) -> None:
    """Before archives: five pickles, of which the fourth has the tensors' sizes, then the bytes."""
    with path.open("rb") as file:
        for _ in range(3):
            _skip(file)
        check_instructions(file, largest=path.stat().st_size)


def _skip(file: IO[bytes]) -> None:
    """Magic number, protocol, machine: a few instructions each."""
    for count, _ in enumerate(pickletools.genops(file)):
        if count > 1000:
            raise ValueError("no file of torch.save")


def _check_tensor(tensor: Tensor) -> None:
    """Refuse tensors that are larger than what they were made from."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        raise ValueError(f"a tensor of an unusual kind ({tensor.layout}, {tensor.device})")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ValueError(f"a tensor of shape {tuple(tensor.shape)} made of fewer numbers")
