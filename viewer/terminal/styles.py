"""The colours of a terminal: what each status of a call looks like."""

from ..catalog.rows import CallRow

_STATUS_STYLES = {"completed": "green", "cancelled": "yellow", "running": "cyan"}
_BAD_STYLE = "red"


def status_style(row: CallRow) -> str:
    """The colour of a call's status: red is whatever went wrong."""
    return style_of(row.shown_status)


def style_of(status: str) -> str:
    """The colour of a status by its name."""
    return _STATUS_STYLES.get(status, _BAD_STYLE)
