"""Opens the catalog for a command, and keeps what may go wrong beside it from the user's sight."""

import shlex
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from tracing.visible_text import visible

from ..catalog.catalog import Catalog, NoTraces
from ..catalog.place import CATALOG_NAME
from ..figures import size
from .options import fail

PATIENCE_S = 1.0
"""How long an index may be built before a person is told why nothing happens."""

DAMAGES_MAX = 10
"""Bundles of which each command says what is wrong with them; of more, the first by name."""

EXIT_INTERRUPTED = 130
"""As shells tell of SIGINT."""


@contextmanager
def open_catalog(trace_dir: Path) -> Iterator[Catalog]:
    """The catalog of the traces, up to date. Says what cannot be read, on stderr.

    Exits with a message where there are no traces or the output cannot be written, and silently
    where the user had enough.
    """
    try:
        with Catalog.open(trace_dir) as catalog:
            with progress_told() as on_progress:
                catalog.refresh(on_progress)
            _tell_damage(catalog)
            yield catalog
            sys.stdout.flush()  # here a reader that left is no error: click sees to that
    except NoTraces as error:
        fail(str(error))
    except sqlite3.Error as error:
        index = trace_dir / CATALOG_NAME
        fail(f"the index {index} cannot be read ({error}); delete it, and it is made again")
    except BrokenPipeError:
        raise  # the reader left: click ends quietly then
    except OSError as error:
        with suppress(OSError):
            sys.stdout.close()  # with what is left of it: at the exit it would fail once more
        # An error of a file has its name.
        file = error.filename
        what = "the output cannot be written" if file is None else f"{file} cannot be read"
        fail(f"{what}: {error.strerror}")
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


@contextmanager
def progress_told() -> Iterator[Callable[[int, int], None] | None]:
    """What a refresh tells its progress to: a line on stderr, if that is a terminal and it takes
    long."""
    if not sys.stderr.isatty():
        yield None
        return
    begun = time.monotonic()
    is_told = False

    def tell(done: int, total: int) -> None:
        nonlocal is_told
        if total and time.monotonic() - begun >= PATIENCE_S:
            is_told = True
            line = f"\rtailrace: reading traces, {size(done)} of {size(total)}\x1b[K"
            click.echo(line, err=True, nl=False)

    try:
        yield tell
    finally:
        if is_told:
            click.echo("\r\x1b[K", err=True, nl=False)


def _tell_damage(catalog: Catalog) -> None:
    damaged = catalog.connection.execute(
        "SELECT name, damage FROM bundles WHERE damage IS NOT NULL ORDER BY name"
    ).fetchall()
    for name, damage in damaged[:DAMAGES_MAX]:
        path = shlex.quote(str(catalog.trace_dir / name))
        click.echo(
            f"tailrace: {visible(f'{path}: {damage}')}; `tailrace verify` tells more", err=True
        )
    if len(damaged) > DAMAGES_MAX:
        more = f"and {len(damaged) - DAMAGES_MAX:,} more bundles that cannot be read whole"
        click.echo(f"tailrace: {more}", err=True)
