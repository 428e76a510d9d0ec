"""Actors on a Ray cluster, each with its GPU or its share of a node's cores."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from landscape.core.errors import ConfigError
from landscape.run.executors.interface import WorkerLost, nothing

T = TypeVar("T")
MakeOnNode = Callable[[int, int], Any]
"""From the threads of a worker and the workers that share its node, to the worker."""
_SECONDS = 20.0  # for a cluster to answer


class RayExecutor:
    """Workers that live in a cluster as long as their nodes do, and elsewhere after that.

    Results come back through Ray's object store to this process, which alone writes.

    Args:
        make: Makes a worker on its node.
        workers: How many; one a GPU of the cluster, or one for each two cores, when None.
        address: Of the cluster, ``auto`` for the one this machine belongs to; when None, that of
            the variable RAY_ADDRESS, or a cluster of this machine alone is started.
        gpu: Whether a worker gets a GPU of its own, where the cluster has any.
        threads: Of a worker without a GPU.

    Raises:
        ConfigError: Ray is not installed, or there is no such cluster.
    """

    ahead = 2

    def __init__(
        self,
        make: MakeOnNode,
        workers: int | None = None,
        address: str | None = None,
        *,
        gpu: bool = True,
        threads: int | None = None,
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
        threads = threads or (max(1, n_cores // workers) if workers and not wants_gpu else 2)
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

    def start(self, worker: int) -> Future[None]:
        """Ask the cluster for an actor, unless it is there; done once it is placed."""
        if self._actors[worker] is None:
            self._actors[worker] = self._actor.remote(self._make, *self._arguments)
        return self.submit(worker, nothing)

    def submit(self, worker: int, function: Callable[..., T], /, *args: Any) -> Future[T]:
        """Call it on its node."""
        actor, outer = self._actors[worker], Future[T]()
        if actor is None:
            outer.set_exception(WorkerLost("it was not started"))
            return outer
        inner: Future[T] = actor.call.remote(function, *args).future()
        inner.add_done_callback(lambda done: self._hand_on(worker, actor, done, outer))
        return outer

    def _hand_on(self, worker: int, actor: Any, inner: Future[T], outer: Future[T]) -> None:
        errors = self._ray.exceptions
        lost = (errors.RayActorError, errors.ObjectLostError, errors.WorkerCrashedError)
        error = inner.exception()
        if isinstance(error, (*lost, errors.OutOfMemoryError)):
            if self._actors[worker] is actor:
                self._actors[worker] = None  # Ray's own thread is no place to kill it from
            outer.set_exception(WorkerLost(str(error).strip().splitlines()[0]))
        elif isinstance(error, errors.RayTaskError):
            outer.set_exception(error.cause)
        elif error is not None:
            outer.set_exception(error)
        else:
            outer.set_result(inner.result())

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
    """Knock where a cluster shall be: Ray would try for minutes.

    Raises:
        OSError: Nobody answers.
        ValueError: It is no address.
        OverflowError: It is no port.
    """
    if address in (None, "auto", "local"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("expected HOST:PORT, 'auto' or 'local'")
    socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS).close()
