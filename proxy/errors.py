"""The proxy's own errors: what upstream did, or what of a request is refused, as an answer.

They have OpenAI's error shape with a ``code`` of ours, so that a client's SDK can read them, and no
``x-request-id``: no upstream request stands behind them.
"""

from dataclasses import dataclass

import orjson
from aiohttp import web

from tracing.terminal import TransportEnd


class UpstreamError(Exception):
    """Upstream gave no answer that can be relayed."""

    status = 502
    code = "upstream_error"
    end = TransportEnd.UPSTREAM_ERROR


class UpstreamConnectError(UpstreamError):
    """No connection to upstream could be made."""

    code = "upstream_connect_error"


class UpstreamConnectTimeoutError(UpstreamError):
    """Upstream did not take the connection in time."""

    status = 504
    code = "upstream_connect_timeout"
    end = TransportEnd.TIMEOUT


class UpstreamIdleTimeoutError(UpstreamError):
    """Upstream was silent for longer than ``upstream_idle_timeout``."""

    status = 504
    code = "upstream_idle_timeout"
    end = TransportEnd.TIMEOUT


def idle_timeout_error(seconds: float | None) -> UpstreamIdleTimeoutError:
    """Make the error that names the limit of ``seconds``."""
    return UpstreamIdleTimeoutError(f"upstream was silent for {seconds} s (upstream_idle_timeout)")


class UpstreamProtocolError(UpstreamError):
    """What upstream sent is no HTTP response."""

    code = "upstream_protocol_error"


class UpstreamDisconnectedError(UpstreamError):
    """Upstream closed the connection before it sent a whole response head."""

    code = "upstream_disconnected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request that is answered here and never sent on."""

    status: int
    code: str
    message: str


def error_body(message: str, *, error_type: str, code: str) -> bytes:
    """Return an error in the shape that OpenAI's API gives it."""
    error = {"message": message, "type": error_type, "param": None, "code": code}
    return orjson.dumps({"error": error}) + b"\n"


def error_response(
    status: int, message: str, *, error_type: str, code: str, close: bool = False
) -> web.Response:
    """Return an error as an answer; ``close`` ends the connection after it."""
    response = web.Response(
        status=status,
        body=error_body(message, error_type=error_type, code=code),
        content_type="application/json",
        headers={"Server": "tailrace"},
    )
    if close:
        response.force_close()
    return response


def upstream_error_response(error: UpstreamError) -> web.Response:
    """Return the answer for an upstream that gave none."""
    return error_response(
        error.status, f"tailrace: {error}", error_type="upstream_error", code=error.code
    )


def refusal_response(refusal: Refusal) -> web.Response:
    """Return the answer for a refused request; its connection is not trusted further."""
    return error_response(
        refusal.status,
        f"tailrace: {refusal.message}",
        error_type="invalid_request_error",
        code=refusal.code,
        close=True,
    )
