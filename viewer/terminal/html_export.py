"""`tailrace export --format html`: a call or a thread as one file to send to somebody."""

import sys
from pathlib import Path

from ..call.evidence import CallUnreadable
from ..catalog.catalog import Catalog
from ..catalog.queries import find_calls
from ..catalog.rows import CallFilter, CallRow
from ..export import AlreadyThere, is_stdout, write_file
from ..selector import NoSuchSelection, Target, select, select_call
from .options import fail
from .reading import open_catalog


def export_html(selector: str, trace_dir: Path, output: Path) -> None:
    """Write what the selector names, or print it where `output` is `-`; says why that cannot be,
    and exits then."""
    page = _page(selector, trace_dir)
    if is_stdout(output):
        sys.stdout.buffer.write(page)
        return
    try:
        write_file(output, page)
    except AlreadyThere as error:
        fail(str(error))
    except OSError as error:
        fail(f"{selector} cannot be written as {output}: {error.strerror}")


def _page(selector: str, trace_dir: Path) -> bytes:
    try:
        with open_catalog(trace_dir) as catalog:
            return _as_html(selector, catalog).encode(errors="backslashreplace")
    except NoSuchSelection as error:
        if Path(selector).is_dir():
            fail(
                f"{selector} is a directory, and html is of a call or a thread; name one by its id"
            )
        fail(*error.lines)
    except CallUnreadable as error:
        fail(str(error))


def _as_html(selector: str, catalog: Catalog) -> str:
    from ..page.html_file import call_as_html, thread_as_html

    target = select(selector, catalog)
    if target.call_id is None:
        return thread_as_html(catalog, _latest_of(target, catalog))
    return call_as_html(catalog, select_call(selector, catalog))


def _latest_of(thread: Target, catalog: Catalog) -> CallRow:
    calls = find_calls(catalog, CallFilter(thread_id=thread.thread_id), limit=1)
    if not calls:
        raise NoSuchSelection(f"thread {thread.thread_id} has no call any more")
    return calls[0]
