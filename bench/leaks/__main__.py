"""`python -m bench.leaks`; see the package."""

from bench.leaks.table import main

main()
