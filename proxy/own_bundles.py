"""Tells which bundles in a trace directory were written by this run of this process."""

import os
from pathlib import Path

import orjson

from tracing.events import MANIFEST_NAME


class OwnBundles:
    """Made before the proxy starts, asked after it ended."""

    def __init__(self, trace_dir: Path) -> None:
        self._trace_dir = trace_dir
        self._before = set(_bundles(trace_dir))

    def found(self) -> list[Path]:
        """The bundles that we wrote since, oldest first: their names begin with a time."""
        return [
            bundle
            for bundle in _bundles(self._trace_dir)
            if bundle not in self._before and _writer(bundle) == os.getpid()
        ]


def _bundles(trace_dir: Path) -> list[Path]:
    """Every one there; none where the directory is not there or cannot be listed."""
    try:
        names = sorted(os.listdir(trace_dir))
    except OSError:  # the log tells of it: the recorder meets it too
        return []
    return [trace_dir / name for name in names if name.startswith("trace-")]


def _writer(bundle: Path) -> object:
    """The id of the process that wrote a bundle; None where that cannot be told."""
    try:
        return orjson.loads((bundle / MANIFEST_NAME).read_bytes())["producer"]["pid"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
