"""Tells whether the recorder that writes a bundle lives."""

from pathlib import Path

from tracing.bundle_lock import bundle_lock


def is_written(bundle: Path) -> bool:
    """Whether somebody holds the bundle's lock. What has none to hold is written by nobody.

    The lock is shared and held for no time. A writer has its own before its bundle has a manifest,
    so it is never in a writer's way.
    """
    try:
        with bundle_lock(bundle, shared=True) as is_free:
            return not is_free
    except (OSError, ValueError):
        return False
