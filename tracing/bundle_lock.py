"""The lock on a bundle: its writer holds it while it lives, and whoever changes a dead one, too.

Only the lock tells whether a bundle is in use: a process id may be another process by now.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .events import MANIFEST_NAME


@contextmanager
def bundle_lock(bundle: Path, *, shared: bool = False) -> Iterator[bool]:
    """Hold a bundle's lock; gives False, and does not wait, where somebody else has it.

    ``shared`` is for those who read: it keeps others from changing the bundle meanwhile. Raises
    OSError where there is no manifest to lock, or it is no file of its own.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    fd = os.open(bundle / MANIFEST_NAME, flags)
    try:
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise
            yield False
        else:
            yield True
    finally:
        os.close(fd)
