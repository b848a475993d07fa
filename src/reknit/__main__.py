"""`python -m reknit`: the same as the `reknit` command."""

from reknit.cli import main

main()
