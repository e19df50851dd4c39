"""Where a call, a thread or a comparison is found on the page."""

from urllib.parse import quote, urlencode

from ..catalog.rows import CallRow, StripPoint


def call_key(call: CallRow | StripPoint) -> str:
    """What updates name a call by: its trace and its own id, which outlast the catalog."""
    return f"{_part(call.trace_id)}/{_part(call.call_id)}"


def call_url(call: CallRow | StripPoint) -> str:
    """The page of a call."""
    return f"/call/{call_key(call)}"


def thread_url(call: CallRow | StripPoint) -> str:
    """The page of the conversation that a call is in."""
    return f"/thread/{call_key(call)}"


def comparison_url(before: CallRow, after: CallRow) -> str:
    """The page that compares two calls."""
    pairs = {"a": call_key(before), "b": call_key(after)}
    return f"/diff?{urlencode(pairs, safe='/')}"


def name_in(part: str) -> str:
    """The name that a part of an address stands for, with its escapes undone."""
    return part.removeprefix("~")


def _part(name: str) -> str:
    # A browser takes these for a way through directories, even as escapes. No recorder gives such
    # a name, but a bundle may hold anything.
    is_way = name in {"", ".", ".."} or name.startswith("~")
    return quote(f"~{name}" if is_way else name, safe="", errors="replace")
