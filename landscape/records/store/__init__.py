"""The HDF5 file: one writer, resumable at any moment, self-describing.

While a run goes on, every array lies contiguous and fully allocated, so that writing a pair
changes bytes in place and no structure of the file: a writer killed at any moment leaves a file
that reads. A finished file is rewritten compressed and put in place by ``os.replace``. Every row
has a checksum, and all else is kept twice: what is damaged is found, named and can be repaired. The
layout is specified in store.md beside this file.
"""

from landscape.records.store.layout import ENCODING_VERSION, FORMATS, create_store
from landscape.records.store.lock import lock_store
from landscape.records.store.points import StoredPath
from landscape.records.store.published import Published, write_published
from landscape.records.store.read import Results, StoredDataset, read_store
from landscape.records.store.tables import MEASURED, NO_PLAN
from landscape.records.store.write import Outputs, Screened, StoreWriter

__all__ = [
    "ENCODING_VERSION",
    "FORMATS",
    "MEASURED",
    "NO_PLAN",
    "Outputs",
    "Published",
    "Results",
    "Screened",
    "StoreWriter",
    "StoredDataset",
    "StoredPath",
    "create_store",
    "lock_store",
    "read_store",
    "write_published",
]
