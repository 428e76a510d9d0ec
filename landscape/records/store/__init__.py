"""The HDF5 file that people publish: plain, written whole, read back as ``Results``.

Its layout is specified in store.md beside this file.
"""

from landscape.records.store.read import read_store
from landscape.records.store.write import write_store

__all__ = ["read_store", "write_store"]
