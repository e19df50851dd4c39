"""`tailrace tail`: calls as they come and end, one line each."""

import select
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import click
from rich.console import Console
from rich.text import Text

from tracing.visible_text import visible

from ..call.live import LiveCalls
from ..catalog.catalog import Catalog, NoTraces
from ..catalog.rows import CallFilter, CallRow
from .bottom_lines import BottomLines
from .call_json import call_json, linked_calls
from .call_lines import ended_line, running_line
from .call_table import HEADER, plain_row
from .filters import filter_options, with_whole_thread
from .following import Following, News
from .json_output import print_json
from .options import trace_dir_options
from .reading import EXIT_INTERRUPTED, open_catalog

LOOK_INTERVAL_S = 0.25
"""Between looks; what comes is written to the disk five times a second."""

WAITING = "waiting for calls"


@click.command(name="tail")
@filter_options
@click.option(
    "-n",
    "lines",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="Begin with the last N calls.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each call's end.")
@trace_dir_options
def command(*, trace_dir: Path, wanted: CallFilter, lines: int, as_json: bool) -> None:
    """Follow calls while they are made, until Ctrl-C.

    A line for each call that ended; on a terminal also for those that run, with how far they have
    come. It waits for a trace directory that is not there yet, and goes on through new bundles.
    """
    try:
        _wait_for_traces(trace_dir)
        with open_catalog(trace_dir) as catalog:
            output = _output(catalog, as_json=as_json)
            following = Following(catalog, with_whole_thread(wanted, catalog))
            try:
                output.show(following.last(lines))
                while _is_read_on():
                    output.show(following.look())
            finally:
                output.end()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _wait_for_traces(trace_dir: Path) -> None:
    is_told = False
    while True:
        try:
            return Catalog.open(trace_dir).close()
        except NoTraces as error:
            if not is_told:
                click.echo(f"tailrace: waiting for the first call: {visible(str(error))}", err=True)
                is_told = True
        if not _is_read_on():
            sys.exit()


def _is_read_on() -> bool:
    """Wait until it is time for the next look; False where nobody reads our output any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return not poll.poll(LOOK_INTERVAL_S * 1000)


class _Output(Protocol):
    """Where calls are told."""

    def show(self, news: News) -> None:
        """Tell what was found."""

    def end(self) -> None:
        """Leave the output in order."""


def _output(catalog: Catalog, *, as_json: bool) -> _Output:
    console = Console(highlight=False)
    if as_json:
        return _JsonLines(catalog)
    return _Terminal(console) if console.is_terminal and not console.is_dumb_terminal else _Lines()


class _Lines:
    """Plain lines as `ls` has them, each written at once."""

    def __init__(self) -> None:
        sys.stdout.write("\t".join(HEADER) + "\n")

    def show(self, news: News) -> None:
        sys.stdout.writelines(f"{plain_row(row)}\n" for row in news.ended)
        sys.stdout.flush()

    def end(self) -> None:
        """There is nothing to be put in order."""


class _JsonLines:
    """An object a line, each written at once."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def show(self, news: News) -> None:
        linked = linked_calls(self._catalog, news.ended)
        print_json(call_json(row, linked) for row in news.ended)
        sys.stdout.flush()

    def end(self) -> None:
        """There is nothing to be put in order."""


class _Terminal:
    """Calls that ended scroll up; those that run stay at the bottom, and are painted anew."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bottom = BottomLines(console)
        self._live = LiveCalls()

    def show(self, news: News) -> None:
        width = max(self._console.width - 1, 1)  # a full line would leave the cursor on the next
        above = [ended_line(row, width) for row in news.ended]
        self._bottom.paint(above, self._running(news.running, width))

    def _running(self, rows: Sequence[CallRow], width: int) -> list[Text]:
        if not rows:
            line = Text(WAITING, style="dim")
            line.truncate(width)
            return [line]
        room = max(self._console.height // 2, 1)
        shown = rows[-room:]
        progress = self._live.progress_of(shown)
        now_unix_ms = time.time_ns() // 1_000_000
        lines = [running_line(row, progress.get(row.id), now_unix_ms, width) for row in shown]
        if len(rows) > room:
            line = Text(f"and {len(rows) - room:,} more that run", style="dim")
            line.truncate(width)
            lines.insert(0, line)
        return lines

    def end(self) -> None:
        self._bottom.clear()
