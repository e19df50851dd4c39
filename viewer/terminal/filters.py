"""The options that say which calls are meant, and what commands say of them."""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import click

from ..catalog.catalog import Catalog
from ..catalog.rows import STATUSES, CallFilter
from ..figures import moment
from ..given import duration_ms, moment_ms, tokens_count
from ..selector import NoSuchSelection, thread_named
from .options import fail

PROTOCOL_ENDS = ("completed", "incomplete", "failed", "error", "cancelled", "none")
TRANSPORT_ENDS = ("eof", "upstream_error", "client_closed", "timeout", "shutdown")

LIMIT_DEFAULT = 20

Command = TypeVar("Command", bound=Callable[..., object])


def _read_by(
    read: Callable[[str], float],
) -> Callable[[click.Context, click.Parameter, str | None], float | None]:
    """What an option's value goes through; a usage error where it is of no use."""

    def convert(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
        try:
            return None if value is None else read(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return convert


_MOMENT = _read_by(lambda text: moment_ms(text, time.time() * 1000))

_OPTIONS = (
    click.option(
        "--status",
        "statuses",
        multiple=True,
        type=click.Choice(STATUSES),
        help="Only calls of this status; may be given several times. Of those that are lost the"
        " proxy died, so that nobody knows their end.",
    ),
    click.option(
        "--outcome",
        "outcomes",
        multiple=True,
        type=click.Choice(tuple(dict.fromkeys(PROTOCOL_ENDS + TRANSPORT_ENDS))),
        metavar="OUTCOME",
        help="Only calls that ended so: the protocol's last word, such as incomplete, or the"
        " transport's end, such as client_closed; may be given several times.",
    ),
    click.option("--model", metavar="NAME", help="Only calls of this model; * is anything."),
    click.option("--thread", metavar="ID", help="Only calls of this thread: its id or a part."),
    click.option(
        "--since",
        callback=_MOMENT,
        metavar="TIME",
        help="Only calls that began since: 10m (ago), 2h, 3d, today, or 2026-11-23T04:00.",
    ),
    click.option("--until", callback=_MOMENT, metavar="TIME", help="Only calls that began before."),
    click.option(
        "--slow",
        callback=_read_by(duration_ms),
        metavar="DURATION",
        help="Only calls that took longer: 500ms, 2s, 1.5m.",
    ),
    click.option(
        "--tokens",
        callback=_read_by(tokens_count),
        metavar="N",
        help="Only calls of this many tokens or more, in and out: 800, 12k.",
    ),
)


def filter_options(command: Command) -> Callable[..., object]:
    """Add the options; the command gets `wanted`, a CallFilter. Its thread may be a part of an id:
    see `with_whole_thread`."""

    @functools.wraps(command)
    def filtered(
        *,
        statuses: Sequence[str],
        outcomes: Sequence[str],
        model: str | None,
        thread: str | None,
        since: int | None,
        until: int | None,
        slow: float | None,
        tokens: int | None,
        **others: object,
    ) -> object:
        wanted = CallFilter(
            statuses=frozenset(statuses),
            outcomes=frozenset(outcomes),
            model=model,
            thread_id=thread,
            since_unix_ms=since,
            until_unix_ms=until,
            slower_than_ms=slow,
            tokens_min=tokens,
        )
        return command(wanted=wanted, **others)

    with_options: Callable[..., object] = filtered
    for option in reversed(_OPTIONS):
        with_options = option(with_options)
    return with_options


limit_option = click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=0),
    default=LIMIT_DEFAULT,
    show_default=True,
    metavar="N",
    help="How many at most; 0: all.",
)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object a line, for scripts."
)


def with_whole_thread(wanted: CallFilter, catalog: Catalog) -> CallFilter:
    """The filter with the whole id of the thread that it names. Exits where there is none."""
    if wanted.thread_id is None:
        return wanted
    try:
        return replace(wanted, thread_id=thread_named(wanted.thread_id, catalog))
    except NoSuchSelection as error:
        fail(*error.lines)


def told(wanted: CallFilter) -> str:
    """The filter as options that say the same, for a message; empty where there is none."""
    options = [
        *(f"--status {status}" for status in sorted(wanted.statuses)),
        *(f"--outcome {outcome}" for outcome in sorted(wanted.outcomes)),
    ]
    if wanted.model is not None:
        options.append(f"--model {wanted.model}")
    if wanted.thread_id is not None:
        options.append(f"--thread {wanted.thread_id}")
    if wanted.since_unix_ms is not None:
        options.append(f"--since {moment(wanted.since_unix_ms)}")
    if wanted.until_unix_ms is not None:
        options.append(f"--until {moment(wanted.until_unix_ms)}")
    if wanted.slower_than_ms is not None:
        options.append(f"--slow {wanted.slower_than_ms:g}ms")
    if wanted.tokens_min is not None:
        options.append(f"--tokens {wanted.tokens_min}")
    return " ".join(options)
