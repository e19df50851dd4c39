"""`tailrace stats`: the calls of each model in figures."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from ..catalog.queries import stats
from ..catalog.rows import CallFilter, ModelStats
from .filters import filter_options, json_option, with_whole_thread
from .json_output import print_json
from .ls import tell_nothing_found
from .options import trace_dir_options
from .reading import open_catalog
from .stats_table import plain_lines, stats_table, total_line


@click.command(name="stats", short_help="Sum up the calls of each model.")
@filter_options
@json_option
@trace_dir_options
def command(*, trace_dir: Path, wanted: CallFilter, as_json: bool) -> None:
    """Sum up the calls of each model: how they ended, tokens, and times.

    Times are told as percentiles: half of the calls took at most p50, nine of ten p90, all but one
    of a hundred p99. Each is the time of a call, taken of all calls that have one.
    """
    with open_catalog(trace_dir) as catalog:
        wanted = with_whole_thread(wanted, catalog)
        found = stats(catalog, wanted)
        if not found:
            tell_nothing_found(catalog, wanted)
        elif as_json:
            print_json(map(_json, found))
        elif sys.stdout.isatty():
            _print_table(found)
        else:
            click.echo("".join(f"{line}\n" for line in plain_lines(found)), nl=False)


def _json(model: ModelStats) -> dict[str, object]:
    return asdict(model)


def _print_table(found: Sequence[ModelStats]) -> None:
    from rich.console import Console

    console = Console()
    console.print(stats_table(found, width=console.width))
    console.print(total_line(found), style="dim", highlight=False)
