"""Waits for what happens without telling anyone: in another process, in a thread, on the disk."""

import threading
from collections.abc import Callable

from .script import GUARD_S

POLL_S = 0.01


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition` holds; the pause between looks is no timing."""
    tick = threading.Event()
    for _ in range(round(GUARD_S / POLL_S)):
        if condition():
            return
        tick.wait(POLL_S)
    raise AssertionError(f"never: {what}")
