"""Where work runs: in this process, in one process a device, or on a Ray cluster."""

from landscape.executors.interface import Executor, WorkerLost
from landscape.executors.local import LocalExecutor
from landscape.executors.process import ProcessExecutor
from landscape.executors.stream import stream

__all__ = ["Executor", "LocalExecutor", "ProcessExecutor", "WorkerLost", "stream"]
