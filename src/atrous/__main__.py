"""`python -m atrous` is `atrous`."""

import sys

from atrous.cli import main

if __name__ == "__main__":
    sys.exit(main())
