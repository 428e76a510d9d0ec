"""``python -m landscape.run`` is the command line."""

from landscape.run.commands import main

main()
