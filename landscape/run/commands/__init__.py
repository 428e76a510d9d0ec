"""The command line: a function a command, registered by ``app.command``."""

from landscape.core.registry import load_modules
from landscape.run.commands.app import app, main

load_modules(__name__, __path__)

__all__ = ["app", "main"]
