"""Finds out what a refresh is to do, at the cost of a status for each bundle.

It imports nothing that reads bundles: as a rule there is nothing to do.
"""

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from .bundle_rows import BundleRow, LogState, bundles_on_disk, known_bundles
from .liveness import is_written


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a refresh is to do."""

    to_read: list[tuple[str, LogState, BundleRow | None]] = field(default_factory=list)
    """By name, in the order of their trace ids, which is that of time."""
    gone: list[BundleRow] = field(default_factory=list)
    died: list[BundleRow] = field(default_factory=list)
    """Whose writer was there the last time, and is not any more."""
    is_linked: bool

    @property
    def is_empty(self) -> bool:
        """Whether all is as it was."""
        return self.is_linked and not (self.to_read or self.gone or self.died)

    @property
    def bytes_to_read(self) -> int:
        """Of event logs."""
        return sum(
            log.size - (0 if row is None else min(row.log_offset, log.size))
            for _, log, row in self.to_read
        )


def make_plan(connection: sqlite3.Connection, trace_dir: Path) -> Plan:
    """Compare the catalog with the disk, at the cost of a status for each bundle.

    A trace directory that is gone has no bundles. Raises sqlite3.Error and OSError.
    """
    (is_linked,) = connection.execute("SELECT is_linked FROM catalog").fetchone()
    plan = Plan(is_linked=bool(is_linked))
    known = known_bundles(connection)
    try:
        found = sorted(bundles_on_disk(trace_dir), key=lambda each: each[0])
    except FileNotFoundError:
        found = []
    for name, log in found:
        row = known.pop(name, None)
        if row is None or row.log != log:
            plan.to_read.append((name, log, row))
        elif row.is_live and not is_written(trace_dir / name):
            plan.died.append(row)
    plan.gone.extend(known.values())
    return plan
