"""``python -m microduet``: the command line."""

from microduet.cli import main

main()
