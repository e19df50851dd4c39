"""`tailrace show`: one call, as a person would tell it, or one part of it as it was."""

import sys
from collections.abc import Callable
from pathlib import Path

import click
import orjson

from tracing.strict_json import dumps
from tracing.visible_text import visible, visible_json

from ..call.curl import NothingToRepeat, curl_command
from ..call.evidence import PayloadRead, read_events, read_payload
from ..call.missing import not_kept
from ..call.readable_json import indented_bytes
from ..call.reading import CallUnreadable, partial_items, read_story
from ..call.support import support_packet
from ..catalog.catalog import Catalog
from ..catalog.relatives import relatives
from ..catalog.rows import CallRow
from ..selector import NoSuchSelection, select_call
from ..thread.cache_words import cache_miss
from ..thread.comparing import cache_report
from .call_json import call_json, linked_calls
from .call_sheet import print_story
from .event_lines import print_events, print_events_json
from .json_output import print_json
from .options import fail, trace_dir_options
from .reading import open_catalog

PARTS = ("request", "response", "events", "curl", "support")


@click.command(name="show", short_help="Tell one call, or print a part of it.")
@click.argument("selector")
@click.option("--request", is_flag=True, help="Only what was sent: its payload, byte for byte.")
@click.option("--response", is_flag=True, help="Only what came: its payload, byte for byte.")
@click.option("--events", is_flag=True, help="Only the stream's events, with their times.")
@click.option("--curl", is_flag=True, help="Only a command that sends the request again.")
@click.option(
    "--support", is_flag=True, help="Only what is safe to share: ids, times, shape; no content."
)
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object; with --events one object a line."
)
@trace_dir_options
def command(*, selector: str, trace_dir: Path, as_json: bool, **parts: bool) -> None:
    """Tell one call: who asked, what was sent, what came and when, and how it ended.

    SELECTOR is the id of a call, a response or a request, its beginning or its end, or `last`.
    """
    part = _one_part(parts, as_json=as_json)
    with open_catalog(trace_dir) as catalog:
        try:
            row = select_call(selector, catalog)
            _PRINTERS[part, as_json](row, catalog)
        except NoSuchSelection as error:
            fail(*error.lines)
        except (CallUnreadable, NothingToRepeat) as error:
            fail(str(error))


def _one_part(parts: dict[str, bool], *, as_json: bool) -> str | None:
    """The part that is asked for, or None where it is all. Exits where several are."""
    asked = [name for name in PARTS if parts[name]]
    if len(asked) > 1:
        given = " and ".join(f"--{name}" for name in asked)
        raise click.UsageError(f"{given} exclude each other; give one of them")
    part = asked[0] if asked else None
    if as_json and part not in {None, "events"}:
        raise click.UsageError(f"--json goes with --events or alone, and not with --{part}")
    return part


def _print_story(row: CallRow, catalog: Catalog) -> None:
    links = relatives(catalog, row)
    story = read_story(row, links.before)
    missed = None
    if links.before is not None and row.usage is not None:
        report = cache_report(catalog, links.before, row)
        missed = None if report is None else cache_miss(report)
    print_story(story, links, missed)


def _print_call_json(row: CallRow, catalog: Catalog) -> None:
    events = read_events(row)
    call = call_json(row, linked_calls(catalog, [row]))
    ours = call["proxy"]
    assert isinstance(ours, dict)
    # As in the state: what the two events say, and what was in progress.
    call["proxy"] = {
        **ours,
        **events.start_proxy,
        **events.end_proxy,
        "partial_items": partial_items(row),
    }
    print_json([orjson.loads(dumps(call))])


def _print_request(row: CallRow, _: Catalog) -> None:
    _print_payload(row, "request", row.request_path)


def _print_response(row: CallRow, _: Catalog) -> None:
    if row.response_path is None and row.end_offset is None:
        fail(
            f"call {row.call_id} has no response: no end of it was recorded;"
            f" `tailrace show {row.call_id}` tells what came"
        )
    _print_payload(row, "response", row.response_path)


def _print_payload(row: CallRow, what: str, path: str | None) -> None:
    read_events(row)
    payload: PayloadRead = read_payload(row.bundle, path)
    if payload.data is None:
        why = payload.fault or "the bundle names none"
        where = "" if path is None else f" ({row.bundle / path})"
        fail(f"the {what} of call {row.call_id}{where} cannot be had: {why}")
    if why_not := not_kept(what, payload):
        click.echo(f"tailrace: warning: {visible(why_not)}", err=True)
    stdout = sys.stdout.buffer
    if not sys.stdout.isatty():
        stdout.write(payload.data)
        return
    stdout.writelines(visible_json([indented_bytes(payload.data), b"\n"]))


def _print_events(row: CallRow, _: Catalog) -> None:
    print_events(row)


def _print_events_json(row: CallRow, _: Catalog) -> None:
    print_events_json(row)


def _print_curl(row: CallRow, _: Catalog) -> None:
    curl = curl_command(row)
    for warning in curl.warnings:
        click.echo(f"tailrace: warning: {visible(warning)}", err=True)
    stdout = sys.stdout.buffer
    body = [curl.body]
    if sys.stdout.isatty():
        # JSON means the same with escapes; what is no JSON is shown, and cannot be copied whole.
        lines = curl.body.decode(errors="replace").split("\n")
        body = list(
            visible_json([curl.body]) if curl.is_json else ["\n".join(map(visible, lines)).encode()]
        )
    stdout.writelines([curl.head.encode(), *body, curl.tail.encode()])


def _print_support(row: CallRow, _: Catalog) -> None:
    packet = orjson.dumps(support_packet(row), option=orjson.OPT_INDENT_2)
    sys.stdout.buffer.writelines(visible_json([packet, b"\n"]))


_PRINTERS: dict[tuple[str | None, bool], Callable[[CallRow, Catalog], None]] = {
    (None, False): _print_story,
    (None, True): _print_call_json,
    ("request", False): _print_request,
    ("response", False): _print_response,
    ("events", False): _print_events,
    ("events", True): _print_events_json,
    ("curl", False): _print_curl,
    ("support", False): _print_support,
}
