"""The tables of docs/conformance.md; `python -m tests.conformance.tables` prints them."""

from collections import Counter

from .event_streams import FORMATS, MEDIA_TYPES
from .http_cases import Case, cases
from .websocket_cases import GROUPS


def tables() -> list[str]:
    """Each table of the page, and the lines of figures, as they stand there."""
    return [_http_counts(), _http_table(), _stream_names(), _socket_table()]


def _http_counts() -> str:
    verdicts = Counter(case.verdict for case in cases())
    return (
        f"{verdicts.total()} cases: {verdicts['pass']} pass, {verdicts['warn']} warn,"
        f" {verdicts['fail']} not as wanted.\n"
    )


def _http_table() -> str:
    head = "| case | RFC | level | wanted (tolerated) | tailrace | |\n|---|---|---|---|---|---|\n"
    return head + "".join(map(_http_row, cases()))


def _http_row(case: Case) -> str:
    wanted = _spelled(case.wants) + (f" ({_spelled(case.allows)})" if case.allows else "")
    answers = case.answers.replace(" close", ", closes")
    note = f"{case.verdict}: {case.because}" if case.because else case.verdict
    return f"| {case.id} | {case.rfc} | {case.level} | {wanted} | {answers} | {note} |\n"


def _spelled(words: str) -> str:
    return ", ".join(words.split())


def _stream_names() -> str:
    return "".join(f"- `{name}`\n" for name in (*FORMATS, *MEDIA_TYPES))


def _socket_table() -> str:
    head = "| group | cases | of which break the framing |\n|---|---|---|\n"
    rows = ((group, list(make())) for group, make in GROUPS.items())
    return head + "".join(
        f"| {group} | {len(its)} | {sum(not case.is_sound for case in its)} |\n"
        for group, its in rows
    )


if __name__ == "__main__":
    print("\n".join(tables()), end="")
