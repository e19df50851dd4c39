"""Writes what retention removed, or would remove, as lines for people."""

from collections.abc import Iterator
from datetime import UTC, datetime

from .retention import Outcome, Removal
from .visible_text import visible

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def text_lines(outcome: Outcome, *, dry_run: bool) -> Iterator[str]:
    """A line for each bundle, then one that sums up."""
    verb = "would be removed" if dry_run else "removed"
    for removal in outcome.removed:
        yield f"{visible(str(removal.bundle))}: {verb}, {_size(removal.bytes)}, {_why(removal)}"
    gone = sum(removal.bytes for removal in outcome.removed)
    yield (
        f"{_count(len(outcome.removed))} {verb}, {_size(gone)};"
        f" {_count(outcome.kept)} kept, {_size(outcome.kept_bytes)}"
    )


def _why(removal: Removal) -> str:
    written = datetime.fromtimestamp(removal.written_unix, UTC)
    limit = "kept_age_max" if removal.is_old else "kept_bytes_max"
    return f"last written {written:%Y-%m-%d %H:%M:%SZ}, over {limit}"


def _count(bundles: int) -> str:
    return "1 bundle" if bundles == 1 else f"{bundles} bundles"


def _size(size: int) -> str:
    amount = float(size)
    for unit in _UNITS[:-1]:
        if amount < 1024:
            return f"{amount:.3g} {unit}"
        amount /= 1024
    return f"{amount:.3g} {_UNITS[-1]}"
