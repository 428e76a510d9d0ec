"""How points are evaluated on this machine: measured once, then remembered."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from landscape.evaluation.kernels import Linear

# below this many parameters a forward is a row of short operations, and their launches are shared
SMALL_MODEL = 1_000_000


@dataclass(frozen=True)
class Plan:
    """How points are evaluated.

    Attributes:
        strategy: ``loop`` sets the weights in place for one point after another, ``vmap`` runs
            a stack of ``chunk`` points at once.
        chunk: Points at once; halved when memory runs out.
        linear: The kernel of linear layers on a CPU.
        tokens: Examples x longest of one batch, for whoever makes the batches.
    """

    strategy: Literal["loop", "vmap"] = "loop"
    chunk: int = 1
    linear: Linear = "torch"
    tokens: int = 2048


def default_plan(n_parameters: int, device: torch.device) -> Plan:
    """A plan without measuring: ``vmap`` for small models, the loop for others."""
    tokens = 32_768 if device.type == "cuda" else 2048
    if n_parameters < SMALL_MODEL:
        return Plan("vmap", 16, tokens=tokens)
    return Plan(tokens=tokens)


def plan_key(model: nn.Module, device: torch.device, precision: str, n_inputs: int) -> str:
    """What a plan depends on: machine, threads, torch, model, number format, the batches' size."""
    shapes = [(name, tuple(tensor.shape)) for name, tensor in model.named_parameters()]
    content = json.dumps(
        [
            machine_name(device),
            torch.get_num_threads(),
            str(torch.__version__),
            type(model).__name__,
            shapes,
            str(getattr(getattr(model, "config", None), "_attn_implementation", "")),
            precision,
            n_inputs.bit_length(),
        ]
    )
    return hashlib.sha256(content.encode()).hexdigest()


def remembered(key: str) -> Plan | None:
    """The plan that was measured for this key before."""
    with suppress(OSError, ValueError, TypeError):
        return Plan(**json.loads(_file(key).read_text()))
    return None


def remember(key: str, plan: Plan) -> None:
    """Keep a plan; a cache that cannot be written is no obstacle."""
    file = _file(key)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}")  # other processes measure plans too
        partial.write_text(json.dumps(asdict(plan)))
        os.replace(partial, file)


def _file(key: str) -> Path:
    base = os.environ.get("LANDSCAPE_CACHE")
    if not base:
        base = str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "landscape")
    return Path(base) / "plans" / f"{key[:32]}.json"


def machine_name(device: torch.device) -> str:
    """What computes: the GPU's name, or the processor's with the instructions torch uses."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        parts = ("vendor_id", "cpu family", "model", "model name")
        name = " ".join(sorted({line for line in lines if line.startswith(parts)}))
    return f"{platform.machine()} {name} {torch.backends.cpu.get_cpu_capability()}"
