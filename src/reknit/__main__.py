"""`python -m reknit`: the same as the `reknit` command."""

from reknit.cli.main import main

main()
