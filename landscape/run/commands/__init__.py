"""The command line: a function a command, registered by ``app.command``."""

from landscape.run.commands import importing, measure, read
from landscape.run.commands.app import app, main

__all__ = ["app", "importing", "main", "measure", "read"]
