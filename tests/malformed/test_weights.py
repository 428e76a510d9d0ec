"""Weight files and their indexes."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.malformed.inputs import Code, Inputs, nested
from tests.malformed.weights import (
    archive,
    header_of,
    tensor_pickle,
    with_header,
)

Refused = Callable[..., None]
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614\nsize 9000\n"


def _tensors(n_bytes: int, **tensors: Any) -> bytes:
    return with_header(header_of(**tensors), bytes(n_bytes))


SAFETENSORS: dict[str, bytes | Callable[[bytes], bytes]] = {
    "a header of 2^63 bytes": lambda good: struct.pack("<Q", 2**63) + good[8:],
    "a header that ends after the file": lambda good: struct.pack("<Q", len(good)) + good[8:],
    "a header nested 100,000 deep": with_header(nested(100_000).encode()),
    "overlapping offsets": _tensors(24, a=("F32", [4], [0, 16]), b=("F32", [4], [8, 24])),
    "a shape that overflows": _tensors(16, a=("F32", [2**40] * 3, [0, 16])),
    "a hole between tensors": _tensors(12, a=("F32", [1], [0, 4]), b=("F32", [1], [8, 12])),
    "a Git LFS pointer": LFS,
}


@pytest.mark.parametrize("content", SAFETENSORS.values(), ids=SAFETENSORS)
def test_safetensors(
    content: bytes | Callable[[bytes], bytes], inputs: Inputs, refused: Refused
) -> None:
    file = inputs.members()[1] / "model.safetensors"
    file.write_bytes(content if isinstance(content, bytes) else content(file.read_bytes()))
    refused("check", "population/member-*", naming="member-1")


SHARDS: dict[str, object] = {
    "../../secret": "../../secret.txt",
    "a NUL": "model\0",
    "100,000 letters": "x" * 100_000,
    "a folder": "folder",
    "an absolute path": "{secret}",
}
INDEXES = {
    "no weight map": '{"metadata": {}}',
    "a weight map that is a list": '{"weight_map": ["model-1.safetensors"]}',
    "nested 100,000 deep": nested(100_000),
}
INDEXES |= {f"a shard: {k}": json.dumps({"weight_map": {"a": v}}) for k, v in SHARDS.items()}


@pytest.mark.parametrize("text", INDEXES.values(), ids=INDEXES)
def test_indexes(text: str, inputs: Inputs, refused: Refused) -> None:
    """Beside the sound file under the name of a shard."""
    member = inputs.members()[1]
    (member / "model.safetensors").rename(member / "model-1.safetensors")
    (member / "folder").mkdir()
    index = member / "model.safetensors.index.json"
    index.write_text(text.replace("{secret}", str(inputs.secret)))
    refused("check", "population/member-*", naming=("member-1", "model"))


DATA = {"0": bytes(16)}
PICKLES: dict[str, bytes | Callable[[Path], bytes]] = {
    "a storage that is not there": archive(tensor_pickle(4, [4], [1])),
    "text of 2^60 bytes": archive(b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"a."),
    "a call in an archive": lambda path: archive(pickle.dumps(Code(os.system, f"touch {path}"))),
    "a call alone": lambda path: pickle.dumps(Code(os.system, f"touch {path}"), protocol=2),
}


@pytest.mark.parametrize("content", PICKLES.values(), ids=PICKLES)
def test_pickles(
    content: bytes | Callable[[Path], bytes], inputs: Inputs, refused: Refused
) -> None:
    member = inputs.members()[1]
    (member / "model.safetensors").unlink()
    content = content if isinstance(content, bytes) else content(inputs.canary)
    (member / "pytorch_model.bin").write_bytes(content)
    refused("check", "population/member-*", naming="member-1")
