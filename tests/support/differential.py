"""One case both ways: what crosses the proxy against what crosses a plain connection.

Left out of the comparison: hop-by-hop headers (RFC 9110 7.6.1), Host, and Date and Server, which
a server may add. Informational responses are left out too: a proxy may drop them (RFC 9110 15.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .captured_request import CapturedRequest
from .raw_http import Exchange, exchange, request_bytes
from .running_proxy import RunningProxy
from .script import RawHeaders, Reply, Step
from .scripted_upstream import ScriptedUpstream
from .serve_process import ServeProcess

HOP_BY_HOP = frozenset(
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
CALL = b'{"model":"m","input":"Hi","stream":true}'
"""The body of a small call."""

ODD_HEADERS: dict[str, RawHeaders] = {
    "duplicates in order": (
        (b"Set-Cookie", b"a=1; Path=/"),
        (b"X-Between", b"1"),
        (b"Set-Cookie", b"b=2"),
        (b"set-cookie", b"c=3"),
    ),
    "case of the name": ((b"X-rEqUeSt-Id", b"req_1"), (b"x-lower", b"1"), (b"X-UPPER", b"1")),
    "odd names": ((b"!#$%&'*+-.^_`|~", b"1"), (b"x_under", b"1"), (b"1", b"1")),
    "UTF-8": ((b"X-Name", "Zoë ✓".encode()),),
    "bytes that are no UTF-8": ((b"X-Latin", b"caf\xe9"), (b"X-All", bytes(range(128, 256)))),
    "empty value": ((b"X-Empty", b""), (b"X-Next", b"1")),
    "inner spaces": ((b"X-Spaces", b"a  b\tc"),),
    "long value": ((b"X-Long", b"v" * 30_000),),
    "many": tuple((b"X-Many-%d" % number, b"%d" % number) for number in range(200)),
    "named by Connection": (
        (b"Connection", b"keep-alive, X-Hop"),
        (b"X-Hop", b"drop me"),
        (b"X-Stay", b"1"),
    ),
}
"""What a proxy could get wrong in a head, of a request or of a response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a client can tell of an answer, but for what a proxy may change."""

    status: int
    reason: bytes
    headers: RawHeaders
    body: bytes
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """What upstream can tell of a request, but for what a proxy may change."""

    line: bytes
    headers: RawHeaders
    body: bytes


def _end_to_end(headers: RawHeaders, *, without: frozenset[bytes]) -> RawHeaders:
    """The headers that a proxy must not touch, in order."""
    named = {
        token.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for token in value.split(b",")
    }
    dropped = HOP_BY_HOP | named | without
    return tuple(header for header in headers if header[0].lower() not in dropped)


def seen(answer: Exchange) -> Seen:
    """An answer without what may differ; a FIN that ends a close-delimited body is no cut."""
    head = answer.head
    framed = head.values("content-length") or head.values("transfer-encoding")
    return Seen(
        status=head.status,
        reason=head.reason,
        headers=_end_to_end(head.headers, without=frozenset({b"date", b"server"})),
        body=answer.body,
        cut=answer.end == "rst" or (answer.end == "fin" and bool(framed)),
    )


def arrived(request: CapturedRequest) -> Arrived:
    """A captured request without what may differ."""
    headers = _end_to_end(request.headers, without=frozenset({b"host"}))
    return Arrived(line=request.line, headers=headers, body=request.body)


def call(headers: RawHeaders = (), body: bytes = CALL, path: str = "/v1/responses") -> bytes:
    """A POST to the traced path."""
    return request_bytes("POST", f"http://127.0.0.1{path}", headers=headers, body=body)


def assert_same_answer(
    upstream: ScriptedUpstream,
    proxy: RunningProxy | ServeProcess,
    script: Reply | Sequence[Step],
    request: bytes | None = None,
) -> Seen:
    """The script's answer is the same through the proxy as without it; gives what was seen."""
    request = call() if request is None else request
    for _ in range(2):
        upstream.enqueue(script)
    direct = seen(exchange(upstream.port, request))
    proxied = seen(exchange(proxy.port, request))
    assert proxied == direct
    return direct


def assert_same_request(upstream: ScriptedUpstream, proxy: RunningProxy, request: bytes) -> Arrived:
    """The request arrives upstream as it would without the proxy; gives what arrived."""
    for _ in range(2):
        upstream.enqueue(Reply(body=[b"ok"]))
    exchange(upstream.port, request)
    exchange(proxy.port, request)
    direct, proxied = (arrived(upstream.request(index)) for index in (0, 1))
    assert proxied == direct
    return direct
