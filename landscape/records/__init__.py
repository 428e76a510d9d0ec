"""What was measured, on disk: a record a job, and the store that is written from them."""

from landscape.records.collect import collect
from landscape.records.folder import Manifest, RunFolder
from landscape.records.lock import lock_run
from landscape.records.record import Record
from landscape.records.results import (
    FORMATS,
    MEASURED,
    NO_PLAN,
    Measured,
    Results,
    StoredDataset,
    StoredPath,
)
from landscape.records.store import read_store, write_store

__all__ = [
    "FORMATS",
    "MEASURED",
    "NO_PLAN",
    "Manifest",
    "Measured",
    "Record",
    "Results",
    "RunFolder",
    "StoredDataset",
    "StoredPath",
    "collect",
    "lock_run",
    "read_store",
    "write_store",
]
