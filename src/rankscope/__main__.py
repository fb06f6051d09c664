"""`python -m rankscope`: the same as the command `rankscope`."""

from rankscope.cli import main

main()
