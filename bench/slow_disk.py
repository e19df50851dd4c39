"""Runs tailrace on a disk that takes only so many bytes a second.

`python -m bench.slow_disk BYTES_PER_SECOND serve ...`: each call that writes to a file takes as
long as such a disk would need.
"""

import os
import stat
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any


def slow_down(bytes_per_second: float) -> None:
    """Slow down `os.write`, `os.writev` and `os.pwritev`, on regular files."""

    def slowed(real: Callable[..., int]) -> Callable[..., int]:
        def call(fd: int, *args: Any, **kwargs: Any) -> int:
            done = real(fd, *args, **kwargs)
            if stat.S_ISREG(os.fstat(fd).st_mode):
                time.sleep(done / bytes_per_second)
            return done

        return call

    os.write = slowed(os.write)
    os.writev = slowed(os.writev)
    os.pwritev = slowed(os.pwritev)


def main(arguments: Sequence[str]) -> None:
    """Slow the disk down, then run the command."""
    from tailrace import main as tailrace

    slow_down(float(arguments[0]))
    tailrace(list(arguments[1:]))


if __name__ == "__main__":
    main(sys.argv[1:])
