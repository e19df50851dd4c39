"""A process that refreshes a catalog, and stops after each transaction until it is told to go on.

Run as `python -m tests.support.catalog_reader TRACE_DIR SLICE_LINES`. It says `opened`, then a line
after each transaction, and `done` at the end; after each transaction it waits for a line.
"""

import sys
from pathlib import Path

from viewer.catalog import refreshing
from viewer.catalog.catalog import Catalog


def tell(done: int, total: int) -> None:
    """Say that something was committed, and wait."""
    sys.stdout.write(f"{done} of {total}\n")
    sys.stdout.flush()
    sys.stdin.readline()


if __name__ == "__main__":
    refreshing.SLICE_LINES = int(sys.argv[2])
    with Catalog.open(Path(sys.argv[1])) as catalog:
        sys.stdout.write("opened\n")
        sys.stdout.flush()
        catalog.refresh(tell)
    sys.stdout.write("done\n")
