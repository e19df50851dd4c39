"""The log: one line for a call or an exchange, when it ends, and what happens to the disk."""

from collections.abc import Mapping

import structlog

from tracing.call import CallSummary

_log = structlog.get_logger()


def call_ended(call: CallSummary) -> None:
    """Log a call, when its terminal is recorded."""
    _log.info(
        "call",
        outcome=call.terminal,
        reason=call.text,
        model=call.model,
        status=call.http_status,
        call_id=call.call_id,
        response_id=call.response_id,
        upstream_request_id=call.upstream_request_id,
        path=call.path,
        ms=call.duration_ms,
        first_event_ms=call.first_event_ms,
        events=call.events,
        bytes_up=call.bytes_up,
        bytes_down=call.bytes_down,
    )


def exchange_ended(
    *, method: str, path: str, status: int | None, end: str, duration_ms: float
) -> None:
    """Log an exchange that is no traced call."""
    _log.info("request", method=method, path=path, status=status, end=end, ms=duration_ms)


def chatgpt_login_refused() -> None:
    """Give the hint for the one mistake that every Codex user with a ChatGPT login makes."""
    _log.warning(
        "upstream answered 401 to a ChatGPT login: its API is another one",
        hint="start with --upstream https://chatgpt.com/backend-api/codex",
    )


def disk_refused(error: OSError) -> None:
    """Log, once, that the disk does not take what is recorded."""
    _log.error(
        "the trace cannot be written; traffic goes on, and the trace as far as memory allows",
        error=error.strerror or str(error),
        path=str(error.filename) if error.filename else None,
    )


def disk_resumed() -> None:
    """Log that it does again."""
    _log.warning("the trace is written again")


def loss_began(what: str) -> None:
    """Log, once, that something cannot be kept."""
    why = "the disk does not keep up, or is not there, or a body took too much to be read"
    _log.warning(f"content of traces is lost: {why}", what=what)


def loss_told(lost: Mapping[str, int]) -> None:
    """Log that what was lost is told in the trace now."""
    _log.warning("what was lost is told in the trace", lost=dict(lost))


def tracing_failed(error: Exception) -> None:
    """Log a bug of ours that cost a trace, and no traffic."""
    _log.error("a trace was lost to a bug in tailrace; please report it", exc_info=error)
