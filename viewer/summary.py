"""The calls of some bundles, a few lines for each: how it ended, its ids, its times and tokens."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from reducer import NotABundle, reduce_bundle
from tracing.visible_text import visible

TEXT_CHARS_MAX = 400
"""Of a text that was cut, its end: that is where it was cut."""

STATUS_STYLES = {"completed": "green", "cancelled": "yellow", "running": "cyan"}

LABEL_WIDTH = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSummary:
    """One inference call. Times in ms from the request's arrival; None is not known, or none."""

    bundle: Path
    status: str
    http_status: int | None
    reason: str | None
    model: str
    response_id: str | None
    upstream_request_id: str | None
    retry_count: int
    first_event_ms: float | None
    ended_ms: float | None
    input_tokens: int | None
    cached_input_tokens: int | None
    output_tokens: int | None
    partial_text: str


def call_summaries(bundles: Iterable[Path]) -> list[CallSummary]:
    """The calls of these bundles, each bundle's in the order they began."""
    summaries: list[CallSummary] = []
    for bundle in bundles:
        try:
            state = reduce_bundle(bundle)
        except (NotABundle, OSError):  # deleted since its name was found
            continue
        calls = sorted(_object(state["inference_calls"]).values(), key=_beginning)
        summaries += [_summary(bundle, call) for call in calls]
    return summaries


def _beginning(call: Mapping[str, Any]) -> int:
    return int(call["execution"]["started_seq"])


def _summary(bundle: Path, call: Mapping[str, Any]) -> CallSummary:
    """Codex's keys of a call are as its schema says; what stands under `proxy` may be missing."""
    ours = _object(call.get("proxy"))
    timing = _object(ours.get("timing"))
    usage = _object(call.get("usage"))
    return CallSummary(
        bundle=bundle,
        status=call["execution"]["status"],
        http_status=_whole(ours.get("http_status")),
        reason=_text(_object(ours.get("outcome")).get("reason")),
        model=call["model"],
        response_id=_text(call.get("response_id")) or _text(ours.get("response_id")),
        upstream_request_id=_text(call.get("upstream_request_id")),
        retry_count=_whole(ours.get("retry_count")) or 0,
        first_event_ms=_number(timing.get("first_event")),
        ended_ms=_number(timing.get("ended")),
        input_tokens=_whole(usage.get("input_tokens")),
        cached_input_tokens=_whole(usage.get("cached_input_tokens")),
        output_tokens=_whole(usage.get("output_tokens")),
        partial_text=_partial_text(ours.get("partial_items")),
    )


def _partial_text(partial_items: object) -> str:
    """What a call that was cut had said: the text of its messages in progress."""
    if not isinstance(partial_items, list):
        return ""
    items = [_object(_object(partial).get("item")) for partial in partial_items]
    contents = [item.get("content") for item in items if item.get("type") == "message"]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return "".join(_text(_object(part).get("text")) or "" for part in parts)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def print_summary(calls: Sequence[CallSummary], console: Console) -> None:
    """Print the calls, and where each bundle lies. Nothing in them can steer a terminal."""
    if not calls:
        console.print("No call was traced.")
    for number, call in enumerate(calls, start=1):
        _print_line(console, _headline(number, call))
        for label, value in _details(call):
            _print_detail(console, label, value)
    for bundle in dict.fromkeys(call.bundle for call in calls):
        count = sum(call.bundle == bundle for call in calls)
        noun = "call" if count == 1 else "calls"
        _print_line(console, Text(f"\n{count} {noun} in {visible(str(bundle))}", style="bold"))


def _headline(number: int, call: CallSummary) -> Text:
    style = STATUS_STYLES.get(call.status, "red")
    line = Text(f"{number:>2}  ")
    line.append(visible(call.status), style=f"bold {style}")
    if call.http_status is not None:
        line.append(f" {call.http_status}", style=style)
    line.append(f"  {visible(call.model)}", style="bold")
    if call.retry_count:
        line.append(f"  retry {call.retry_count}", style="dim")
    return line


def _details(call: CallSummary) -> list[tuple[str, Text]]:
    """What is known of a call, by label."""
    details = [
        ("response", _id(call.response_id)),
        ("request", _id(call.upstream_request_id)),
        ("time", Text(_times(call))),
        ("tokens", Text(_tokens(call))),
    ]
    if call.reason:
        details.append(("reason", Text(visible(call.reason))))
    if call.partial_text:
        details.append(("partial text", _cut_text(call.partial_text)))
    return details


def _id(value: str | None) -> Text:
    return Text(visible(value or "-"), overflow="ignore")  # broken, it could not be copied


def _times(call: CallSummary) -> str:
    times = []
    if call.first_event_ms is not None:
        times.append(f"first event {_duration(call.first_event_ms)}")
    if call.ended_ms is not None:
        times.append(f"ended {_duration(call.ended_ms)}")
    return ", ".join(times) or "-"


def _duration(ms: float) -> str:
    return f"{ms:.1f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"


def _tokens(call: CallSummary) -> str:
    if call.input_tokens is None or call.output_tokens is None:
        return "-"
    return (
        f"{call.input_tokens:,} in ({call.cached_input_tokens or 0:,} cached), "
        f"{call.output_tokens:,} out"
    )


def _cut_text(text: str) -> Text:
    one_line = visible(" ".join(text.split()))
    if len(one_line) > TEXT_CHARS_MAX:
        one_line = "..." + one_line[-TEXT_CHARS_MAX:]
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
