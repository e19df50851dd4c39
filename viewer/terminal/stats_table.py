"""Figures of models: with bars for a terminal, as fields for a pipe. Nothing in them can steer a
terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tracing.visible_text import visible

from ..catalog.rows import STATUSES, ModelStats, Spread
from ..figures import NOTHING, duration, tokens
from .styles import style_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

PERCENTILES = ("p50", "p90", "p99")
_FEWER = (PERCENTILES, ("p50", "p99"), ("p50",))
"""What is left of them the narrower a terminal is."""

LABEL_WIDTH = len("first event")
FIGURE_WIDTH = len("12 m 05 s")
_CELL_WIDTH = len("  p50 ") + FIGURE_WIDTH
BAR_WIDTH_MAX = 12
SHARES_WIDTH = 24
SHARES_WIDTH_MIN = 6
NAME_WIDTH_MIN = 16

EIGHTHS = " ▏▎▍▌▋▊▉"

_SPREADS: tuple[tuple[str, Callable[[ModelStats], Spread | None], Callable[[float], str]], ...] = (
    ("first event", lambda model: model.first_event_ms, duration),
    ("took", lambda model: model.duration_ms, duration),
    (
        "tokens/s",
        lambda model: model.output_tokens_per_second,
        lambda rate: f"{rate:,.{1 if rate < 100 else 0}f}",
    ),
)
_COUNTS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens")
_PLAIN_SPREADS = ("first_event_ms", "duration_ms", "output_tokens_per_second")


def plain_lines(found: Sequence[ModelStats]) -> list[str]:
    """A line of names, then one for each model, the fields between tabs."""
    spreads = [f"{name}_{percent}" for name in _PLAIN_SPREADS for percent in PERCENTILES]
    return [
        "\t".join(["model", "calls", *STATUSES, *_COUNTS, *spreads]),
        *("\t".join(map(visible, _plain_fields(model))) for model in found),
    ]


def _plain_fields(model: ModelStats) -> list[str]:
    fields = [model.model, str(model.calls)]
    fields += [str(model.statuses.get(status, 0)) for status in STATUSES]
    fields += [str(getattr(model, name)) for name in _COUNTS]
    for name in _PLAIN_SPREADS:
        spread = getattr(model, name)
        for percent in PERCENTILES:
            fields.append(NOTHING if spread is None else f"{getattr(spread, percent):.1f}")
    return fields


def total_line(found: Sequence[ModelStats]) -> str:
    """All of them together."""
    calls = sum(model.calls for model in found)
    sums = [sum(getattr(model, name) for model in found) for name in _COUNTS]
    models = "1 model" if len(found) == 1 else f"{len(found)} models"
    return f"{models}, {_calls(calls)}; {_tokens(*sums) if any(sums) else 'tokens not told'}"


def stats_table(found: Sequence[ModelStats], *, width: int) -> RenderableType:
    """The models one below the other, their bars to one scale. Where there is no room for bars,
    they are left out, and then percentiles, rather than cut."""
    from rich.console import Group
    from rich.text import Text

    percentiles = next(
        (some for some in _FEWER if LABEL_WIDTH + 2 + len(some) * _CELL_WIDTH <= width), _FEWER[-1]
    )
    room = (width - 2 - LABEL_WIDTH) // len(percentiles) - _CELL_WIDTH - 1
    longest = {
        label: max((spread.p99 for model in found if (spread := spread_of(model))), default=0.0)
        for label, spread_of, _ in _SPREADS
    }
    lines = []
    for model in found:
        lines.append(_headline(model, width))
        told = _tokens(*(getattr(model, name) for name in _COUNTS))
        lines.append(Text(f"  {'tokens':<{LABEL_WIDTH}}  ", style="dim").append(told, "not dim"))
        for label, spread_of, written in _SPREADS:
            spread = spread_of(model)
            if spread is None:
                continue
            line = Text(f"  {label:<{LABEL_WIDTH}}", style="dim")
            for percent in percentiles:
                value = getattr(spread, percent)
                line.append(f"  {percent} ").append(f"{written(value):>{FIGURE_WIDTH}}", "not dim")
                bar = _bar(value, longest[label], min(room, BAR_WIDTH_MAX))
                line.append(bar, "cyan not dim")
            lines.append(line)
        lines.append(Text())
    for line in lines:
        line.rstrip()
        line.truncate(max(width, 1), overflow="ellipsis")
    return Group(*lines)


def _headline(model: ModelStats, width: int) -> Text:
    """The name, and how calls ended. Where room is short the bar gives way, then the name: a count
    that is cut would be another number."""
    from rich.text import Text

    counts = Text()
    for status, count in sorted(model.statuses.items(), key=lambda entry: -entry[1]):
        counts.append(f"  {count:,} {visible(status)}", style=style_of(status))
    name = Text(visible(model.model), style="bold")
    calls = Text(f"  {_calls(model.calls)}")
    room = width - calls.cell_len - counts.cell_len
    bar_room = min(room - min(name.cell_len, NAME_WIDTH_MIN) - 2, SHARES_WIDTH)
    if bar_room >= SHARES_WIDTH_MIN:
        bar = Text("  ").append_text(_shares(model, bar_room))
        calls, room = calls.append_text(bar), room - bar.cell_len
    name.truncate(max(room, NAME_WIDTH_MIN), overflow="ellipsis")
    return Text().append_text(name).append_text(calls).append_text(counts)


def _shares(model: ModelStats, width: int) -> Text:
    """How calls ended, as parts of a bar; what happened at all has a cell of it."""
    from rich.text import Text

    bar = Text()
    left = width
    by_count = sorted(model.statuses.items(), key=lambda entry: entry[1])
    for number, (status, count) in enumerate(by_count, start=1):
        cells = max(round(width * count / model.calls), 1)
        cells = left if number == len(by_count) else min(cells, left)
        bar = Text("█" * cells, style=style_of(status)).append_text(bar)
        left -= cells
    return bar


def _bar(value: float, longest: float, width: int) -> str:
    """A bar of up to so many cells, with a blank before it and behind it what is left of them."""
    if width <= 0 or longest <= 0:
        return ""
    eighths = max(min(round(value / longest * width * 8), width * 8), 1)
    whole, part = divmod(eighths, 8)
    return " " + ("█" * whole + EIGHTHS[part].strip()).ljust(width)


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count:,} calls"


def _tokens(tokens_in: int, cached: int, tokens_out: int, reasoning: int) -> str:
    if not tokens_in and not tokens_out:
        return "not told"
    share = f", {cached / tokens_in:.0%}" if cached and tokens_in else ""
    told = f"{tokens(tokens_in)} in ({tokens(cached)} cached{share}), {tokens(tokens_out)} out"
    return f"{told} ({tokens(reasoning)} reasoning)"
