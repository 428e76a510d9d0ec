"""Actors on a Ray cluster, each with its GPU or its share of a node's cores."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from landscape.core.errors import ConfigError
from landscape.run.executors.interface import WorkerLost

T = TypeVar("T")
MakeOnNode = Callable[[int, int], Any]
"""From the threads of a worker and the workers that share its node, to the worker."""
_SECONDS = 20.0  # for a cluster to answer


class RayExecutor:
    """Workers that live in a cluster as long as their nodes do, and elsewhere after that.

    Results come back through Ray's object store to this process, which alone writes.

    Of ``workers`` there are as many as GPUs in the cluster, or one for each two cores, when None.
    Without an ``address`` it is that of the variable RAY_ADDRESS, or a cluster of this machine
    alone is started. With ``gpu`` a worker gets a GPU of its own, where the cluster has any.
    """

    ahead = 2

    def __init__(
        self,
        make: MakeOnNode,
        workers: int | None = None,
        address: str | None = None,
        *,
        gpu: bool = True,
    ) -> None:
        # nothing is sent to anybody unless the user wants to
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError:
            raise ConfigError(
                "Ray is not installed.",
                where="executor ray",
                fix="pip install 'landscape-basins[ray]'",
            ) from None
        self._ray = ray
        self._started = not ray.is_initialized()
        if self._started:
            address = address or os.environ.get("RAY_ADDRESS")
            try:
                _reach(address)
                ray.init(address, include_dashboard=None if address else False, log_to_driver=False)
            except (OSError, RuntimeError, ValueError, OverflowError) as error:
                raise ConfigError(
                    "The Ray cluster cannot be reached.",
                    where=address or "this machine",
                    found=str(error).splitlines()[0],
                    fix="start it with 'ray start --head', and give its address HOST:6379",
                ) from None
        resources = ray.cluster_resources()
        n_gpus, n_cores = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
        wants_gpu = gpu and n_gpus > 0
        threads = max(1, n_cores // workers) if workers and not wants_gpu else 2
        self.n_workers = workers or (n_gpus if wants_gpu else max(1, n_cores // threads))
        share = self.n_workers // max(1, sum(node["Alive"] for node in ray.nodes()))
        self._actor = ray.remote(_Actor).options(
            num_cpus=0 if wants_gpu else min(threads, n_cores),
            num_gpus=1 if wants_gpu else 0,
            max_restarts=0,  # a lost one is replaced here, and its tasks go where there is room
            scheduling_strategy="SPREAD",
        )
        self._make = ray.put(make)
        self._arguments = (threads, max(1, share))
        self._actors: list[Any] = [None] * self.n_workers

    def submit(self, worker: int, function: Callable[..., T], /, *args: Any) -> Future[T]:
        """Call it on its node; the cluster is asked for an actor unless there is one."""
        if self._actors[worker] is None:
            self._actors[worker] = self._actor.remote(self._make, *self._arguments)
        future: Future[T] = self._actors[worker].call.remote(function, *args).future()
        return future

    def result(self, worker: int, future: Future[T]) -> T:
        """What a call returned or raised."""
        errors = self._ray.exceptions
        lost = (errors.RayActorError, errors.ObjectLostError, errors.WorkerCrashedError)
        try:
            return future.result()
        except (*lost, errors.OutOfMemoryError) as error:
            self._actors[worker] = None
            raise WorkerLost(str(error).strip().splitlines()[0]) from None
        except errors.RayTaskError as error:
            raise error.cause from None

    def shutdown(self) -> None:
        """Kill the actors; leave the cluster as it was found."""
        for actor in self._actors:
            if actor is not None:
                self._ray.kill(actor)
        self._actors = [None] * self.n_workers
        if self._started:
            self._ray.shutdown()


class _Actor:
    """One worker; its state lasts as long as it does."""

    def __init__(self, make: MakeOnNode, threads: int, share: int) -> None:
        self._make, self._arguments = make, (threads, share)
        self._worker: Any = None

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Of the worker, which the first call makes: an error while making it comes back whole."""
        if self._worker is None:
            self._worker = self._make(*self._arguments)
        return function(self._worker, *args)


def _reach(address: str | None) -> None:
    """Knock where a cluster shall be: Ray would try for minutes."""
    if address in (None, "auto", "local"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("expected HOST:PORT, 'auto' or 'local'")
    socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS).close()
