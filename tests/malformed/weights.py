"""Weight files written byte by byte."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Sequence
from typing import Any


def with_header(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file of this header, whatever it says."""
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def header_of(**tensors: Any) -> bytes:
    """A header of (dtype, shape, offsets)."""
    keys = ("dtype", "shape", "data_offsets")
    return json.dumps({k: dict(zip(keys, v, strict=True)) for k, v in tensors.items()}).encode()


def archive(pickled: bytes, compression: int = zipfile.ZIP_STORED, **files: bytes) -> bytes:
    """What torch.save writes, with this pickle; what is packed is repeated 10,000 times."""
    out = io.BytesIO()
    parts = {"data.pkl": pickled, "byteorder": b"little", "version": b"3\n"}
    parts |= {f"data/{name}": data for name, data in files.items()}
    with zipfile.ZipFile(out, "w", compression, compresslevel=1) as file:
        for name, data in parts.items():
            with file.open(f"archive/{name}", "w", force_zip64=True) as part:
                part.write(data)
                for _ in range(9999 if compression and len(data) > 1000 else 0):
                    part.write(data)
    return out.getvalue()


def tensor_pickle(numel: int, size: Sequence[int], stride: Sequence[int]) -> bytes:
    """A state dict of one tensor, of a storage and a view that need not fit each other."""

    def integer(n: int) -> bytes:
        raw = n.to_bytes(9, "little", signed=True)
        return b"\x8a" + bytes([len(raw)]) + raw

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
    numbers = [b"(" + b"".join(map(integer, values)) + b"t" for values in (size, stride)]
    return (
        b"\x80\x02}" + text("a") + b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage + integer(numel) + b"tQK\0" + numbers[0] + numbers[1]
        + b"\x89ccollections\nOrderedDict\n)RtRs."
    )  # fmt: skip


def old_format(numel: int) -> bytes:
    """What torch.save wrote before archives: a tensor of four numbers of a storage of ``numel``."""
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    parts = [0x1950A86A20F9469CFC6C, 1001, machine]
    values = tensor_pickle(numel, [4], [1]).replace(b"tQ", b"NtQ", 1)  # no view of another storage
    data = b"".join(pickle.dumps(part, 2) for part in parts) + values + pickle.dumps(["0"], 2)
    return data + struct.pack("<q4f", numel, 0.0, 1.0, 2.0, 3.0)
