"""Conversations in a trace directory, indexed, with their calls to be had by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.reducer.linked import Caller
from viewer.catalog.catalog import Catalog
from viewer.catalog.queries import call_by_key
from viewer.catalog.rows import CallRow

TRACE = "trace-1"


def caller_in(trace_dir: Path) -> Caller:
    """A bundle of a trace directory, to be filled with calls."""
    return Caller(trace_dir / TRACE)


@contextmanager
def indexed(caller: Caller) -> Iterator[Catalog]:
    """The catalog of what was called."""
    caller.bundle.write()
    with Catalog.open(caller.bundle.path.parent) as catalog:
        catalog.refresh()
        yield catalog


def call_named(catalog: Catalog, call: str) -> CallRow:
    """A call by its id in the bundle."""
    row = call_by_key(catalog, TRACE, call)
    assert row is not None
    return row
