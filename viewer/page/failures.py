"""Says where an exception came from, for the log."""

import traceback
from pathlib import Path

FRAMES_MAX = 4
"""The innermost frames that are named."""


def place_of(error: Exception) -> str:
    """What failed and where; not its text, which may hold what a bundle says."""
    frames = traceback.extract_tb(error.__traceback__, limit=-FRAMES_MAX)
    way = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    return f"{type(error).__name__} at {way}"
