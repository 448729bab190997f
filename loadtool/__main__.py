"""`python -m loadtool`."""

import sys

from loadtool.cli import main

if __name__ == "__main__":
    sys.exit(main())
