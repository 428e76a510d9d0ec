"""Rooms whose modules declare themselves: a file more is a thing more."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache


def load_modules(package: str, folders: Iterable[str]) -> None:
    """Import every module of a package, so that what it declares is registered.

    Args:
        package: The package's ``__name__``.
        folders: Its ``__path__``.
    """
    for module in pkgutil.iter_modules(folders):
        importlib.import_module(f"{package}.{module.name}")


@cache
def load_plugins() -> None:
    """Import what other packages add: the modules under the entry point ``landscape``."""
    from importlib.metadata import entry_points  # slow, and not needed to print help

    for plugin in entry_points(group="landscape"):
        plugin.load()
