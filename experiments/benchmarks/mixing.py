"""A point between two checkpoints: from disk to disk as a checkpoint, and in memory.

``export_point`` also hashes its members, refuses NaN and infinite values, and copies configuration
and tokenizer; the peers write the tensors alone.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Setting, best, interleaved, median, peers
from safetensors.torch import load_file, save_file

from landscape.checkpoints import Checkpoint, build_model
from landscape.checkpoints.mix import Mixer

SHARE = 0.3
PEERS = (
    "mergekit==0.1.5",
    "immutables==0.21",  # and what else its import asks for
    "peft==0.21.2",
    "accelerate==1.15.0",
    "psutil==7.2.2",
)
HASHES = "of export_point: SHA-256 of both members"
FEW = 10  # a mix in memory is short: as many rounds more


def bench_mixing(setting: Setting) -> dict[str, Any]:
    """Both parts, each with its contestants taking turns."""
    members = setting.population().checkpoints[:2]
    skipped: dict[str, str] = {}
    disk, written = on_disk(setting, members, skipped)
    memory, difference = in_memory(setting, members)
    on, within = ({k: median(v) for k, v in part.items()} for part in (disk, memory))
    return {
        "bytes of one checkpoint, MB": Path(members[0].files[0]).stat().st_size / 1e6,
        "seconds, from disk to disk": on,
        "seconds, in memory": within,
        "ratios": {
            "disk: best peer / export_point": best(on, ("mergekit 0.1.5", "dict comprehension"))
            / on.get("export_point", float("nan")),
            "disk: best peer / export_point less its hashes": best(
                on, ("mergekit 0.1.5", "dict comprehension")
            )
            / (on.get("export_point", float("nan")) - on.get(HASHES, 0.0)),
            "disk: export_point / floor": on.get("export_point", float("nan"))
            / on["floor: read both files, write as many bytes as one"],
            "memory: dict comprehension / Mixer": within["dict comprehension"] / within["Mixer"],
            "memory: Mixer / floor": within["Mixer"]
            / within["floor: torch.lerp into ready tensors"],
        },
        "largest difference of a weight from the dict comprehension's": {
            **written,
            "Mixer": difference,
        },
        **({"skipped": skipped} if skipped else {}),
        "all_seconds": {**disk, **{f"in memory, {name}": v for name, v in memory.items()}},
    }


def on_disk(
    setting: Setting, members: tuple[Checkpoint, ...], skipped: dict[str, str]
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of each contestant, and the largest difference of what each wrote."""
    files = [Path(member.files[0]) for member in members]
    folders = (setting.work / f"mixed-{number}" for number in itertools.count())

    def made() -> Path:
        out = next(folders)
        out.mkdir()
        return out

    def plain() -> Path:
        a, b = map(load_file, files)
        out = made() / "model.safetensors"
        mixed = {name: (1 - SHARE) * a[name] + SHARE * b[name] for name in a}
        save_file(mixed, out, metadata={"format": "pt"})
        return out

    def floor() -> Path:
        contents = [file.read_bytes() for file in files]
        out = made() / "bytes"
        out.write_bytes(contents[0])
        return out

    def hashed(out: Path) -> Path:
        (out / "hashes").write_text(" ".join(member.content_hash() for member in members))
        return out / "hashes"

    contestants: dict[str, Callable[[], Path]] = {
        "dict comprehension": plain,
        "floor: read both files, write as many bytes as one": floor,
    }
    try:
        from landscape.checkpoints.export import export_point
    except ImportError as error:
        skipped["export_point"] = str(error)
    else:
        coefficients = np.array([1 - SHARE, SHARE])

        def export() -> Path:
            return export_point(members, coefficients, next(folders), {}) / "model.safetensors"

        contestants["export_point"] = export
        contestants[HASHES] = lambda: hashed(made())
    try:
        peers(PEERS)
        merge = _mergekit(files)
    except (ImportError, subprocess.CalledProcessError) as error:
        skipped["mergekit"] = f"cannot be installed here: {error}"
    else:
        contestants["mergekit 0.1.5"] = lambda: merge(made())

    times: dict[str, list[float]] = {name: [] for name in contestants}
    written: dict[str, Path] = {}
    for turn in range(-1, setting.repeats):
        for name, run in contestants.items():
            began = time.perf_counter()
            out = run()
            seconds = time.perf_counter() - began
            if turn >= 0:
                times[name].append(seconds)
                shutil.rmtree(out.parent)
            else:
                written[name] = out
            print(f"  round {turn + 1} of {setting.repeats}: {name}", file=sys.stderr, flush=True)
    reference = load_file(written["dict comprehension"])
    differences = {}
    for name, out in written.items():
        if out.suffix == ".safetensors" and name != "dict comprehension":
            differences[name] = _difference(load_file(out), reference)
        shutil.rmtree(out.parent)
    return times, differences


def _mergekit(files: list[Path]) -> Callable[[Path], Path]:
    """What ``mergekit-pytorch`` does once its command line is read, without progress bars."""
    from mergekit.graph import Executor
    from mergekit.options import MergeOptions
    from mergekit.scripts.merge_raw_pytorch import (
        RawPyTorchMergeConfig,
        SimpleLoaderCache,
        plan_flat_merge,
    )

    config = RawPyTorchMergeConfig.model_validate(
        {
            "merge_method": "linear",
            "dtype": "float32",
            "models": [
                {"model": str(file), "parameters": {"weight": weight}}
                for file, weight in zip(files, (1 - SHARE, SHARE), strict=True)
            ],
        }
    )

    def run(out: Path) -> Path:
        SimpleLoaderCache().loaders.clear()  # each merge opens its files
        with contextlib.redirect_stderr(io.StringIO()):
            tasks = plan_flat_merge(config, str(out), False, False, MergeOptions())
            for _ in Executor(tasks).run(quiet=True):
                pass
        return next(out.glob("*.safetensors"))

    return run


def in_memory(
    setting: Setting, members: tuple[Checkpoint, ...]
) -> tuple[dict[str, list[float]], float]:
    """Seconds of each contestant, and the Mixer's largest difference from the comprehension."""
    a, b = ({k: v.clone() for k, v in member.params.items()} for member in members)
    mixer = Mixer(build_model(members[0]), torch.float32, torch.device("cpu"))
    loaded = mixer.load([a, b])
    row = np.array([[1 - SHARE, SHARE]])
    ready = {name: torch.empty_like(tensor) for name, tensor in a.items()}

    @torch.no_grad()
    def comprehension() -> dict[str, torch.Tensor]:
        return {name: (1 - SHARE) * a[name] + SHARE * b[name] for name in a}

    @torch.no_grad()
    def floor() -> None:
        for name, out in ready.items():
            torch.lerp(a[name], b[name], SHARE, out=out)

    @torch.no_grad()
    def mix() -> dict[str, torch.Tensor]:
        return mixer.mix(loaded, row)

    times, results = interleaved(
        {
            "Mixer": mix,
            "dict comprehension": comprehension,
            "floor: torch.lerp into ready tensors": floor,
        },
        FEW * setting.repeats,
    )
    reference = results["dict comprehension"]
    mixed = {name: tensor[0] for name, tensor in results["Mixer"].items() if name in reference}
    return times, _difference(mixed, reference)


def _difference(mixed: Mapping[str, torch.Tensor], reference: Mapping[str, torch.Tensor]) -> float:
    """The largest of a weight."""
    return max(float((t - reference[name]).abs().max()) for name, t in mixed.items())
