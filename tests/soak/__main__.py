"""Runs a soak for as long as it is told, prints what came of it, and fails for any fault."""

import argparse
import sys
import tempfile
from pathlib import Path

from .soak import soak


def main() -> int:
    """Exit code 0 if every call is accounted for and nothing grew."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800.0, help="how long (1800)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tailrace-soak-") as directory:
        report = soak(arguments.seconds, Path(directory))
    print(report)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
