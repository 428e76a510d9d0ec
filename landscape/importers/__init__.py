"""What others published, read as it is and written as a store, without running any of it."""

from landscape.importers.load import import_published

__all__ = ["import_published"]
