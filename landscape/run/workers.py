"""Who measures: this process, others on this machine, or a cluster; and how they all compute."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import torch

from landscape.checkpoints import Population
from landscape.core.errors import ConfigError, StoreError
from landscape.evaluation.compute_plan import ComputePlan
from landscape.records import RunFolder
from landscape.records.folder import indices, plan_name, tile_of
from landscape.records.same import largest_difference
from landscape.run.executors import Executor, LocalExecutor, ProcessExecutor, first
from landscape.run.inputs import Experiment
from landscape.run.measure.pairs import tiled
from landscape.run.measure.worker import Setup, Task, Worker

Report = Callable[[str], None]
Kind = Literal["local", "process", "ray"]

# nats that an example's loss may differ by between machines or plans, by number format
_ROUNDING = {"fp64": 1e-6, "fp32": 1e-3, "tf32": 0.05, "bf16": 0.5}


@dataclass(frozen=True)
class Workers:
    """Where the work of a run is done.

    Attributes:
        kind: In this process, in one a GPU (or several that share the cores), on a Ray cluster.
        workers: How many; as many as GPUs, on CPUs two, when None.
        address: Of the Ray cluster; one is started on this machine when None.
    """

    kind: Kind = "local"
    workers: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
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


def make_executor(
    workers: Workers,
    experiment: Experiment,
    population: Population,
    fingerprints: dict[str, str],
    n_points: int,
    report: Report,
) -> Executor:
    """The executor of a run, its workers not started yet."""
    device = experiment.config.evaluate.device
    setup = Setup(experiment, device or _device(), fingerprints, n_points)
    if workers.kind == "local":
        return LocalExecutor(partial(Worker, setup, population, report))
    if workers.kind == "ray":
        from landscape.run.executors.on_ray import RayExecutor

        make = partial(_on_a_node, setup, device)
        return RayExecutor(make, workers.workers, workers.address, gpu=device != "cpu")
    if setup.device.startswith("cuda"):
        n_gpus = torch.cuda.device_count()
        setups = [
            replace(setup, device=setup.device if ":" in setup.device else f"cuda:{i % n_gpus}")
            for i in range(workers.workers or n_gpus)
        ]
    else:
        n, cores = workers.workers or 2, len(os.sched_getaffinity(0))
        setups = [replace(setup, threads=max(1, cores // n), share=n)] * n
    return ProcessExecutor([setup.make for setup in setups])


def _on_a_node(setup: Setup, device: str | None, threads: int, share: int) -> Worker:
    """A worker on some node of a cluster, by what that node has."""
    return replace(setup, device=device or _device(), threads=threads, share=share).make()


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_plan(executor: Executor, folder: RunFolder | None, tokens: int | None) -> ComputePlan:
    """How all workers compute: as when the run began, or as a worker proposes.

    ``tokens`` of a batch decide where the user says so.
    """
    if folder is None:
        return first(executor, Worker.propose, None)
    began = ComputePlan.from_json(folder.plans()[folder.manifest().plan])
    here = first(executor, Worker.here, None)
    kernels = {plan.linear for plan in began.plans.values()}
    same = here.machine == began.machine or kernels == {"torch"}
    if here.device != began.device or not same:  # another kind of machine, other kernels
        return first(executor, Worker.propose, None)
    return replace(began.on(here), halved=False, tokens=tokens or began.tokens)


def check_difference(
    executor: Executor, folder: RunFolder | None, plan: ComputePlan
) -> float | None:
    """Nats, the largest of an example's loss between what is kept and the same measured now.

    None where the run holds numbers that were computed in this very way, or none at all.
    """
    if folder is None or plan_name(plan.to_json()) in folder.plans():
        return None
    record = next(folder.read("models"), None)
    if record is None:
        return None
    model = indices(record.paths[0])[0]
    measurement, _ = first(executor, Worker.model, Task((model,), plan))
    difference = max(
        largest_difference(quantity.values, record.arrays[name])
        for name, quantity in measurement.quantities["loss"].items()
        if name.endswith("/losses")
    )
    most = _ROUNDING[plan.exact]
    if difference > most:
        raise StoreError(
            "This machine does not give the numbers that the run holds.",
            where=f"{folder.manifest().checkpoints[model]['name']} in {folder.path}",
            expected=f"losses of examples equal to within {most:g} nats",
            found=f"a difference of {difference:.3g} nats",
            fix="go on where the run was begun, or give this one another 'out'",
        )
    return difference


def shard_of(pairs: np.ndarray, shard: tuple[int, int], n_models: int) -> np.ndarray:
    """The rows of all ``pairs`` (n_pairs, 2) in one of several shards, of few checkpoints each.

    Of many models the pairs that share a record stay together.
    """
    number, n_shards = shard
    side = int(np.ceil(np.sqrt(max(1, len(pairs) / n_shards))))
    order = tiled(pairs, 2 * side)
    jobs: dict[object, list[int]] = {}
    for row, (i, j) in enumerate(pairs[order].tolist()):
        jobs.setdefault(tile_of(i, j, n_models) or (i, j), []).append(row)
    part = np.array_split(np.arange(len(jobs)), n_shards)[number - 1]
    by_job = list(jobs.values())
    rows = [row for place in part for row in by_job[place]]
    return np.array(np.sort(order[rows]), dtype=np.int64)


def read_shard(text: str) -> tuple[int, int]:
    """Which shard, from 1, and of how many; of ``3/10``."""
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
