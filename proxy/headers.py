"""Decides which header fields and which framing go on to the other side; it sends nothing.

Fields are bytes pairs in the order in which they came, with their case and duplicates.
"""

from enum import Enum

from tracing.redaction import RawHeaders

# RFC 9110, 7.6.1: these belong to one connection. Expect is answered by the proxy itself.
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_NOT_SENT_ON = _HOP_BY_HOP | {b"host", b"expect"}

_BODILESS_STATUSES = frozenset({204, 304})


class Framing(Enum):
    """How the end of a body is told (RFC 9112, 6.3)."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


def request_head(
    *,
    method: str,
    target: bytes,
    own_fields: RawHeaders,
    headers: RawHeaders,
    is_chunked: bool,
    upgrade: bytes | None = None,
) -> bytes:
    """Return the head that goes upstream: the client's fields, without those of its connection.

    ``own_fields`` are the proxy's own: Host, before all others. ``upgrade`` is what the connection
    is asked to become.
    """
    dropped = _NOT_SENT_ON | _named_by_connection(headers)
    lines = [b"%b %b HTTP/1.1" % (method.encode(), target)]
    lines += _field_lines(own_fields, frozenset())
    lines += _field_lines(headers, dropped)
    if is_chunked:
        lines.append(b"Transfer-Encoding: chunked")
    if upgrade is not None:
        lines += [b"Connection: Upgrade", b"Upgrade: " + upgrade]
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def response_framing(
    *, method: str, status: int, headers: RawHeaders, client_takes_chunks: bool
) -> Framing:
    """Decide how the body's end is told to the client."""
    if method == "HEAD" or status in _BODILESS_STATUSES:
        return Framing.NONE
    if any(name.lower() == b"content-length" for name, _ in headers):
        return Framing.LENGTH
    return Framing.CHUNKED if client_takes_chunks else Framing.CLOSE


def response_head(
    *,
    status: int,
    reason: bytes,
    headers: RawHeaders,
    framing: Framing,
    connection: bytes | None,
    upgrade: bytes | None = None,
) -> bytes:
    """Return the head that goes to the client. ``connection`` is our own Connection field."""
    dropped = _HOP_BY_HOP | _named_by_connection(headers)
    lines = [b"HTTP/1.1 %d %b" % (status, reason)]
    lines += _field_lines(headers, dropped)
    if framing is Framing.CHUNKED:
        lines.append(b"Transfer-Encoding: chunked")
    if connection is not None:
        lines.append(b"Connection: " + connection)
    if upgrade is not None:
        lines.append(b"Upgrade: " + upgrade)
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def _field_lines(headers: RawHeaders, dropped: frozenset[bytes]) -> list[bytes]:
    return [b"%b: %b" % field for field in headers if field[0].lower() not in dropped]


def _named_by_connection(headers: RawHeaders) -> frozenset[bytes]:
    names: set[bytes] = set()
    for name, value in headers:
        if name.lower() == b"connection":
            names.update(option.strip().lower() for option in value.split(b","))
    if not names:
        return frozenset()
    # A field that frames the message is never an option of the connection: dropping it would
    # change where the message ends (RFC 9110, 7.6.1).
    return frozenset(names - {b"content-length", b"content-type", b"host"})
