"""Who measures: this process, others on this machine, or a cluster; and how they all compute."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from landscape.checkpoints import Population
from landscape.core.errors import ConfigError, StoreError
from landscape.records.store import MEASURED, Results
from landscape.run.executors import Executor, LocalExecutor, ProcessExecutor, stream
from landscape.run.inputs import Experiment
from landscape.run.measurement.worker import Made, ModelTask, Setup, Worker

Report = Callable[[str], None]
Kind = Literal["local", "process", "ray"]
KINDS: tuple[Kind, ...] = ("local", "process", "ray")

# nats that an example's loss may differ by between machines or plans, by number format
_ROUNDING = {"fp64": 1e-6, "fp32": 1e-3, "tf32": 0.05, "bf16": 0.5}


@dataclass(frozen=True)
class Crew:
    """Where the work of a run is done.

    Attributes:
        kind: ``local``: in this process; ``process``: in one process a GPU, or in several that
            share the cores; ``ray``: on a Ray cluster.
        workers: How many; as many as GPUs, on CPUs two, when None.
        address: Of the Ray cluster; one is started on this machine when None.
    """

    kind: Kind = "local"
    workers: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(
                "The executor is not known.", expected=" or ".join(KINDS), found=self.kind
            )
        if self.workers is not None and self.workers < 1:
            raise ConfigError("A run needs at least one worker.", found=self.workers)
        if self.kind == "local" and self.workers not in (None, 1):
            raise ConfigError(
                "The local executor is one worker, in this process.",
                found=f"{self.workers} workers",
                fix="use --executor process",
            )
        if self.address is not None and self.kind != "ray":
            raise ConfigError(
                "Only a Ray cluster has an address.",
                found=f"{self.address} with executor '{self.kind}'",
                fix="use --executor ray",
            )


def hire(
    crew: Crew,
    experiment: Experiment,
    population: Population,
    fingerprints: dict[str, str],
    n_points: int,
    report: Report,
) -> Executor:
    """The executor of a run, its workers not started yet.

    Args:
        crew: Where they work.
        experiment: What they measure.
        population: The models, held to these fingerprints.
        fingerprints: As ``fingerprints_of`` gave them when the run began.
        n_points: How many points there are in all.
        report: Takes a line at a time.
    """
    device = experiment.config.evaluate.device
    setup = Setup(
        experiment,
        device or ("cuda" if torch.cuda.is_available() else "cpu"),
        fingerprints,
        n_points,
    )
    if crew.kind == "local":
        return LocalExecutor(partial(Worker, setup, population, report))
    if crew.kind == "ray":
        from landscape.run.executors.on_ray import RayExecutor

        return RayExecutor(
            partial(_on_a_node, setup, device), crew.workers, crew.address, gpu=device != "cpu"
        )
    if setup.device.startswith("cuda"):
        n_gpus = torch.cuda.device_count()
        chosen = range(crew.workers or n_gpus)
        setups = [
            replace(setup, device=setup.device if ":" in setup.device else f"cuda:{i % n_gpus}")
            for i in chosen
        ]
    else:
        n, cores = crew.workers or 2, len(os.sched_getaffinity(0))
        setups = [replace(setup, threads=max(1, cores // n), share=n)] * n
    return ProcessExecutor([one.make for one in setups])


def _on_a_node(setup: Setup, device: str | None, threads: int, share: int) -> Worker:
    """A worker on some node of a cluster, by what that node has."""
    own = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return replace(setup, device=own, threads=threads, share=share).make()


def agree(executor: Executor, contents: Results | None, tokens: int | None) -> Made:
    """How all workers compute: as the store says, or as a worker proposes.

    Args:
        executor: Of the run.
        contents: What is measured already.
        tokens: Of a batch, where the user says so.
    """
    if contents is None or not contents.plans:
        return _first(executor, Worker.propose, None)
    stored = without_difference(contents.plans[0])
    here = _first(executor, Worker.here, None)
    kernels = {plan["linear"] for plan in stored["plans"].values()}
    same = here["machine"] == stored["machine"] or kernels == {"torch"}
    if here["device"] != stored["device"] or not same:  # another kind of machine, other kernels
        return _first(executor, Worker.propose, None)
    stored.pop("halved", None)
    return {**stored, **here, "tokens": tokens or stored["tokens"]}


def difference(executor: Executor, contents: Results | None, made: Made) -> float | None:
    """Nats, the largest of an example's loss between what is stored and the same measured now.

    None where the store holds numbers that were computed in this very way, or none at all.

    Raises:
        StoreError: It is more than rounding.
    """
    if contents is None or made in [without_difference(plan) for plan in contents.plans]:
        return None
    measured = np.flatnonzero(contents.model_status == MEASURED)
    if not len(measured):
        return None
    model = int(measured[0])
    outputs = _first(executor, Worker.model, ModelTask(model, made))[0]
    found = max(
        float(np.abs(losses - contents.datasets[name].model_losses[model]).max())
        for name, (losses, _) in outputs.items()
    )
    most = _ROUNDING[made["exact"]]
    if not found <= most:
        raise StoreError(
            "This machine does not give the numbers that the store holds.",
            where=f"{contents.models[model]} in {contents.path}",
            expected=f"losses of examples equal to within {most:g} nats",
            found=f"a difference of {found:.3g} nats",
            fix="go on where the store was made, or give this run another 'out'",
        )
    return found


def without_difference(plan: Made) -> Made:
    """A stored plan, less what was measured of it."""
    return {key: value for key, value in plan.items() if key != "difference"}


def _first(executor: Executor, call: Callable[..., Any], task: Any) -> Any:
    return next(found for _, found in stream(executor, call, [task]))


def shard_of(pairs: np.ndarray, shard: tuple[int, int]) -> np.ndarray:
    """The pairs (n, 2) of one of several shards, so that each needs few checkpoints.

    Args:
        pairs: All, (n_pairs, 2).
        shard: Which, from 1, and of how many.
    """
    from landscape.run.measurement.pairs import tiled

    number, n_shards = shard
    side = int(np.ceil(np.sqrt(max(1, len(pairs) / n_shards))))
    order = tiled(pairs, 2 * side)
    return np.array(np.sort(np.array_split(order, n_shards)[number - 1]), dtype=np.int64)


def read_shard(text: str) -> tuple[int, int]:
    """Which shard, from 1, and of how many; of ``3/10``.

    Raises:
        ConfigError: Something else.
    """
    parts = text.split("/")
    if len(parts) == 2 and all(part.isdecimal() for part in parts):
        number, n_shards = map(int, parts)
        if 1 <= number <= n_shards:
            return number, n_shards
    raise ConfigError(
        "Which shard of the pairs?",
        where="--shard",
        expected="I/N: the I-th of N, from 1, as 3/10",
        found=text,
    )
