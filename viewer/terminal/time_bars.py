"""A call's waterfall in lines of text: what each stretch of its time went to, and silences."""

from ..call.story import Gap, Phase, Span, WaitedOn, Waterfall
from ..figures import duration
from .sheet import LABEL_WIDTH, Sheet

SPAN_MS_MIN = 0.05
"""What is shorter would read `0.0 ms`."""

SPANS_MAX = 24
"""An agent's call may have a hundred; the page shows them all."""

_NAMES = {
    Phase.REQUEST: "request",
    Phase.HEADERS: "headers",
    Phase.FIRST_EVENT: "first event",
    Phase.OUTPUT: "wait",
    Phase.REASONING: "reasoning",
    Phase.TEXT: "text",
    Phase.TOOL: "tool",
    Phase.OTHER: "other",
    Phase.END: "end",
}
_STYLES = {
    Phase.HEADERS: "yellow",
    Phase.FIRST_EVENT: "yellow",
    Phase.OUTPUT: "yellow",
    Phase.REASONING: "magenta",
    Phase.TEXT: "green",
    Phase.TOOL: "cyan",
}
_WHO = {WaitedOn.UPSTREAM: "upstream", WaitedOn.CLIENT: "the client"}

BAR_CELLS_MAX = 40
FIGURES_CELLS = 28


def print_waterfall(sheet: Sheet, waterfall: Waterfall) -> None:
    """Print a line for each stretch, with a bar on a terminal, and one for each silence."""
    spans = [span for span in waterfall.spans if span.end_ms - span.start_ms >= SPAN_MS_MIN]
    for span in spans[:SPANS_MAX]:
        name = span.name if span.phase is Phase.TOOL and span.name else _NAMES[span.phase]
        figures = f"{duration(span.end_ms - span.start_ms):>10}  from {duration(span.start_ms)}"
        bar = ""
        if sheet.is_terminal:
            cells = min(max(sheet.width - FIGURES_CELLS, 10), BAR_CELLS_MAX)
            bar = _bar(span, waterfall.duration_ms, cells)
            figures = f"{bar} {figures}"
        # A tool may have a long name, and its line is a line.
        label = name if len(name) < LABEL_WIDTH else f"{name[: LABEL_WIDTH - 2]}…"
        sheet.field(label, figures, style=_STYLES.get(span.phase, "") if bar else "")
    if len(spans) > SPANS_MAX:
        sheet.note(f"and {len(spans) - SPANS_MAX} more stretches")
    chunks = "1 chunk" if waterfall.chunks == 1 else f"{waterfall.chunks:,} chunks"
    until = "so far" if waterfall.is_running else "in all"
    sheet.line(f"{duration(waterfall.duration_ms)} {until}, {chunks}", style="dim")
    for gap in waterfall.gaps:
        sheet.line(_told(gap), style="yellow")


def _told(gap: Gap) -> str:
    silent = duration(gap.end_ms - gap.start_ms)
    return f"silent for {silent} from {duration(gap.start_ms)}, waiting for {_WHO[gap.waited_on]}"


def _bar(span: Span, whole_ms: float, cells: int) -> str:
    """Where a stretch lies within the call; at least one cell, so that none is overlooked."""
    if whole_ms <= 0:
        return " " * cells
    begin = min(int(span.start_ms / whole_ms * cells), cells - 1)
    end = min(max(round(span.end_ms / whole_ms * cells), begin + 1), cells)
    return " " * begin + "█" * (end - begin) + " " * (cells - end)
