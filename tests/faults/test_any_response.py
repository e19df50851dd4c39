"""Any response, framed, cut into segments and broken off anyhow, fares as it does without us."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.differential import assert_same_answer, call
from tests.support.events import sse, text_stream
from tests.support.raw_http import exchange, request_bytes
from tests.support.reduced import only
from tests.support.running_proxy import RunningProxy
from tests.support.script import (
    SSE_TYPE,
    Chunk,
    Close,
    Head,
    LastChunk,
    Raw,
    RawHeaders,
    ReadBody,
    Reset,
    Step,
)
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.terminals import assert_one_terminal_each

STREAM = sse(*text_stream("Hel", "lo"))
ID = (b"x-request-id", b"req_1")
BODILESS = (204, 304)
ENDS: list[Step] = [Close(), Reset()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response as its bytes, how they are cut into segments, and how the connection ends."""

    wire: bytes
    segments: tuple[bytes, ...]
    ends: tuple[Step, ...]

    @property
    def has_head(self) -> bool:
        """Whether a client gets as far as the final head."""
        rest = self.wire
        while rest.startswith(b"HTTP/1.1 1"):
            rest = rest.partition(b"\r\n\r\n")[2]
        return b"\r\n\r\n" in rest


def framed(framing: str, body: bytes, sizes: list[int], wrong_by: int) -> tuple[RawHeaders, bytes]:
    """The header that says where the body ends, and the body with its framing."""
    match framing:
        case "length":
            return ((b"Content-Length", b"%d" % max(0, len(body) + wrong_by)),), body
        case "chunked":
            edges = sorted({0, len(body), *(size % (len(body) + 1) for size in sizes)})
            chunks = b"".join(Chunk(body[a:b]).encode() for a, b in pairwise(edges))
            trailers = ((b"X-Trailer", b"1"),) if wrong_by else ()
            return ((b"Transfer-Encoding", b"chunked"),), chunks + LastChunk(trailers).encode()
        case _:
            return ((b"Connection", b"close"),), body


@st.composite
def responses(draw: st.DrawFn, *, has_body: bool) -> Response:
    """Well-formed responses and beginnings of them."""
    status = draw(st.sampled_from([200, 200, 201, 404, 429, 500, *BODILESS]))
    body = draw(st.sampled_from([b"", b"x", STREAM, STREAM[:200], STREAM * 40]))
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    sizes = draw(st.lists(st.integers(1, 40_000), max_size=6))
    wrong_by = draw(st.sampled_from([0, 0, 0, 3, -1]))
    headers, framed_body = framed(framing, body, sizes, wrong_by)
    wire = draw(st.sampled_from([b"", Head(status=103).encode()]))
    wire += Head(status=status, headers=(SSE_TYPE, ID, *headers)).encode()
    has_body = has_body and status not in BODILESS
    end = len(wire)
    if has_body:
        end += min(len(body), max(0, len(body) + wrong_by)) if framing == "length" else 0
        end += len(framed_body) if framing == "chunked" else 0
        wire += framed_body
    never_ends = has_body and (framing == "close" or (framing == "length" and wrong_by > 0))
    if draw(st.booleans()):
        wire = wire[: draw(st.integers(0, len(wire)))]
    ends = draw(st.sampled_from(ENDS))
    must_end = framing == "close" or never_ends or len(wire) < end
    # On a connection that is in use again nobody could tell what comes later, an end or more of the
    # body, from what was asked for; so an end only comes where one is due, and more comes at once.
    last = len(wire) if len(wire) <= end else end - 1
    cuts = [cut for cut in draw(st.lists(st.integers(0, len(wire)), max_size=8)) if cut <= last]
    edges = sorted({0, len(wire), *cuts})
    segments = tuple(wire[a:b] for a, b in pairwise(edges))
    return Response(wire=wire, segments=segments, ends=(ends,) if must_end else ())


@pytest.fixture(scope="module")
def relay(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ScriptedUpstream, RunningProxy]]:
    """One proxy for all, so that each exchange comes after others that went wrong."""
    traces = tmp_path_factory.mktemp("any") / "traces"
    with ScriptedUpstream() as upstream, RunningProxy(f"{upstream.url}/v1", traces) as proxy:
        yield upstream, proxy
        proxy.stop()
        assert_one_terminal_each(only(proxy.bundles()))


# Each example is an exchange over sockets.
ANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@ANY
@given(response=responses(has_body=True))
def test_any_response_to_a_call(
    relay: tuple[ScriptedUpstream, RunningProxy], response: Response
) -> None:
    """The client sees the same status, fields, body and cut as it would without a proxy."""
    compare(relay, response, call())


@ANY
@given(response=responses(has_body=False))
def test_any_response_to_head(
    relay: tuple[ScriptedUpstream, RunningProxy], response: Response
) -> None:
    """It has no body, whatever its head says of one."""
    compare(relay, response, request_bytes("HEAD", "http://127.0.0.1/v1/models"))


def compare(
    relay: tuple[ScriptedUpstream, RunningProxy], response: Response, request: bytes
) -> None:
    """Play the response with the proxy and without."""
    upstream, proxy = relay
    script: list[Step] = [ReadBody(), *map(Raw, response.segments), *response.ends]
    if response.has_head:
        assert_same_answer(upstream, proxy, script, request)
        return
    upstream.enqueue(script)
    assert exchange(proxy.port, request).head.status == 502
