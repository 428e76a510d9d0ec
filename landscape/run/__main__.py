"""``python -m landscape`` is the command line."""

from landscape.run.commands.cli import main

main()
