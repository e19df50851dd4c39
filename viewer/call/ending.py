"""How a call ended, in words, and where what came of it was cut."""

from ..catalog.rows import CallRow
from ..figures import duration


def ending(row: CallRow, *, characters: int) -> str:
    """How a call ended, or how far it is. `characters` are those that had come by then.

    It is plain text; what stands in it of the bundle is not escaped.
    """
    match row.status:
        case "completed":
            return _joined(f"Completed{_after(row)}", _length(characters))
        case "running" if row.is_live:
            return _joined("Running", _length(characters, "so far"))
        case "running":
            return _joined("Lost: its recorder died before the end was written", _in(characters))
        case "aborted":
            return _joined("Aborted: the proxy died in the midst of it", _in(characters))
        case "cancelled":
            return _joined(f"Cancelled: {_who_left(row)}{_after(row)}", _in(characters))
        case "failed":
            return _joined(f"{_what_failed(row)}{_after(row)}", _in(characters))
        case status:
            return _joined(f"{status.capitalize()}{_after(row)}", _in(characters))


def cut_words(row: CallRow) -> str:
    """What cut the output where it ends in the midst of something."""
    match (row.status, row.protocol, row.transport_end):
        case ("running", _, _):
            return "still coming" if row.is_live else "cut here: the recorder died"
        case ("aborted", _, _):
            return "cut here: the proxy died"
        case (_, "incomplete", _):
            return "cut here: upstream stopped early"
        case (_, "none" | None, "client_closed"):
            return "cut here: the client disconnected"
        case (_, "none" | None, "shutdown"):
            return "cut here: the proxy was shut down"
        case (_, "none" | None, "timeout"):
            return "cut here: upstream fell silent"
        case (_, "none" | None, "eof" | "upstream_error"):
            return "cut here: the connection to upstream ended"
        case _:
            return "cut here"


def _who_left(row: CallRow) -> str:
    match (row.protocol, row.transport_end):
        case ("cancelled", _):
            return "upstream was told to stop"
        case (_, "client_closed"):
            return "the client disconnected"
        case (_, "shutdown"):
            return "the proxy was shut down"
        case _:
            return row.reason or "nobody said why"


def _what_failed(row: CallRow) -> str:
    if row.protocol == "incomplete":
        return "Incomplete: upstream stopped early"
    if row.http_status is not None and row.http_status >= 400:
        return f"Failed: upstream answered {row.http_status}"
    if row.http_status is None and row.transport == "sse" and row.timing.upstream_headers is None:
        return "Failed: no answer from upstream"
    match (row.protocol, row.transport_end):
        case ("failed" | "error", _):
            return "Failed: upstream reported an error"
        case (_, "timeout"):
            return "Failed: upstream fell silent"
        case (_, "eof"):
            return "Failed: upstream ended the stream without a last word"
        case (_, "upstream_error"):
            return "Failed: the connection to upstream broke"
        case _:
            return f"Failed: {row.reason}" if row.reason else "Failed"


def _after(row: CallRow) -> str:
    return "" if row.duration_ms is None else f" after {duration(row.duration_ms)}"


def _in(characters: int) -> str:
    return _length(characters, "in")


def _length(characters: int, where: str = "") -> str:
    if characters == 0:
        return ""
    noun = "character" if characters == 1 else "characters"
    return f"{characters:,} {noun} {where}".rstrip()


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
