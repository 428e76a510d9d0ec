"""Where work runs: in this process, in one process a device, or on a Ray cluster."""

from landscape.run.executors.interface import Executor, LocalExecutor, WorkerLost
from landscape.run.executors.process import ProcessExecutor
from landscape.run.executors.stream import first, stream

__all__ = ["Executor", "LocalExecutor", "ProcessExecutor", "WorkerLost", "first", "stream"]
