"""The summary that closes a command's run: what it called, and what to look at next.

A few calls are told in a few lines each: how it ended, its ids, its times and tokens. Of many, the
latest have a line each.
"""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

from tracing.bundle_reader import BundleReader, NotABundle, PayloadRef
from tracing.events import PayloadKind
from tracing.visible_text import visible

from .call.entries import partial_entries_of
from .call.story import EntryKind
from .catalog.catalog import Catalog, NoTraces
from .catalog.queries import find_calls
from .catalog.rows import CallFilter, CallRow
from .figures import duration, short_id
from .terminal.call_lines import ended_line
from .terminal.styles import status_style

TOLD_MAX = 10
"""Calls that are told in several lines each: about a screen."""

LISTED_MAX = 50
"""Calls that are shown at all."""

CALLS_MAX = 10_000
"""Calls that are counted; a command that made more has its figures in `tailrace stats`."""

TEXT_CHARS_MAX = 400
"""Of a text that was cut, its end: that is where it was cut."""

LABEL_WIDTH = 13

LOG_WIDTH = 160
"""Of a line where there is no terminal: in the log of a CI, say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The calls of some bundles, in the order in which they began.

    `partial_texts` has, by `id`, what calls that were cut had said, as far as they are told.
    """

    calls: Sequence[CallRow]
    partial_texts: Mapping[int, str]


def tell_calls(bundles: Sequence[Path], console: Console) -> list[str]:
    """Print the calls of these bundles, and return commands that tell more."""
    try:
        summary = summary_of(bundles)
    except OSError as error:
        reason = f"the calls cannot be summed up: {error.strerror}"
        console.print(Text(f"tailrace: {visible(reason)}; `tailrace ls` has them"))
        return ["ls"]
    print_summary(summary, console)
    return next_steps(summary)


def summary_of(bundles: Sequence[Path]) -> Summary:
    """Read these bundles, and no other ones beside them: an index of all may take minutes.

    One that is gone or damaged has the calls that can be read. Raises OSError where there is no
    room for an index.
    """
    with TemporaryDirectory(prefix="tailrace-", ignore_cleanup_errors=True) as directory:
        for bundle in bundles:
            Path(directory, bundle.name).symlink_to(bundle.resolve())
        try:
            with Catalog.open(Path(directory)) as catalog:
                catalog.refresh()
                found = find_calls(catalog, CallFilter(), limit=CALLS_MAX)[::-1]
        except NoTraces:
            found = []
    paths = {bundle.name: bundle for bundle in bundles}
    calls = [replace(call, bundle=paths[call.bundle.name]) for call in found]
    told = calls if len(calls) <= TOLD_MAX else []
    texts = {call.id: _partial_text(call) for call in told if call.has_partial}
    return Summary(calls=calls, partial_texts=texts)


def _partial_text(call: CallRow) -> str:
    """What a call that was cut had said: the text of its messages in progress."""
    ours = _object(_object(_response(call)).get("proxy"))
    entries = partial_entries_of(ours.get("partial_items"), pointer="")
    return "".join(entry.text for entry in entries if entry.kind is EntryKind.MESSAGE)


def _response(call: CallRow) -> object:
    if call.response_path is None:
        return None
    kind = PayloadKind.INFERENCE_RESPONSE.value
    ref = PayloadRef(raw_payload_id="", kind=kind, path=call.response_path)
    try:
        return BundleReader(call.bundle, needs_manifest=False).payload(ref)
    except (NotABundle, OSError):  # deleted since it was read
        return None


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def print_summary(summary: Summary, console: Console) -> None:
    """Print the calls, and where each bundle lies. Nothing in them can steer a terminal."""
    calls = summary.calls
    if not calls:
        console.print("No call was traced.")
    elif len(calls) <= TOLD_MAX:
        for number, call in enumerate(calls, start=1):
            _print_line(console, _headline(number, call))
            for label, value in _details(call, summary.partial_texts.get(call.id, "")):
                _print_detail(console, label, value)
    else:
        _print_line(console, _counted(calls))
        width = console.width if console.is_terminal else LOG_WIDTH
        for call in calls[-LISTED_MAX:]:
            _print_line(console, ended_line(call, width))
    for bundle, count in Counter(call.bundle for call in calls).items():
        noun = "call" if count == 1 else "calls"
        _print_line(console, Text(f"\n{count} {noun} in {visible(str(bundle))}", style="bold"))


def next_steps(summary: Summary) -> list[str]:
    """Commands that tell more: of the call that went wrong last, or else of the latest."""
    if not summary.calls:
        return []
    wrong = [call for call in summary.calls if call.status != "completed"]
    call = [*summary.calls, *wrong][-1]
    return [f"show {shlex.quote(visible(short_id(call.call_id)))}", "ls", "view"]


def _counted(calls: Sequence[CallRow]) -> Text:
    """How many calls ended how."""
    line = Text()
    kinds = Counter((call.shown_status, status_style(call)) for call in calls)
    for (status, style), count in kinds.most_common():
        line.append(f"{count} {visible(status)}", style=f"bold {style}")
        line.append("  ")
    if len(calls) > LISTED_MAX:
        line.append(f"the last {LISTED_MAX}:", style="dim")
    return line


def _headline(number: int, call: CallRow) -> Text:
    style = status_style(call)
    line = Text(f"{number:>2}  ")
    line.append(visible(call.status), style=f"bold {style}")
    if call.http_status is not None:
        line.append(f" {call.http_status}", style=style)
    line.append(f"  {visible(call.model)}", style="bold")
    if call.retry_count:
        line.append(f"  retry {call.retry_count}", style="dim")
    return line


def _details(call: CallRow, partial_text: str) -> Iterator[tuple[str, Text]]:
    """What is known of a call, by label."""
    yield "response", _id(call.response_id)
    yield "request", _id(call.upstream_request_id)
    yield "time", Text(_times(call))
    yield "tokens", Text(_tokens(call))
    if call.reason:
        yield "reason", Text(visible(call.reason))
    if partial_text:
        yield "partial text", _cut_text(partial_text)


def _id(value: str | None) -> Text:
    return Text(visible(value or "-"), overflow="ignore")  # broken, it could not be copied


def _times(call: CallRow) -> str:
    times = []
    if call.timing.first_event is not None:
        times.append(f"first event {duration(call.timing.first_event)}")
    if call.duration_ms is not None:
        times.append(f"ended {duration(call.duration_ms)}")
    return ", ".join(times) or "-"


def _tokens(call: CallRow) -> str:
    usage = call.usage
    if usage is None:
        return "-"
    cached = f"{usage.cached_input_tokens:,} cached"
    return f"{usage.input_tokens:,} in ({cached}), {usage.output_tokens:,} out"


def _cut_text(text: str) -> Text:
    one_line = visible(" ".join(text.split()))
    if len(one_line) > TEXT_CHARS_MAX:
        one_line = "…" + one_line[-TEXT_CHARS_MAX:]
    return Text(one_line, style="italic").append(" [cut here]", style="bold not italic yellow")


def _print_detail(console: Console, label: str, value: Text) -> None:
    """Print a value beside its label, its further lines below its first."""
    indent = LABEL_WIDTH + 4
    lines = value.wrap(console, max(console.width - indent, 20))
    for position, part in enumerate(lines):
        line = Text("    ")
        line.append(f"{label if position == 0 else '':<{LABEL_WIDTH}}", style="dim")
        _print_line(console, line.append_text(part))


def _print_line(console: Console, line: Text) -> None:
    """Print one line, however long: a path that is broken could not be copied."""
    line.rstrip()
    console.print(line, soft_wrap=True)
