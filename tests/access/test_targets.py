"""Whatever a client asks for, it is asked of the one upstream, and below its base URL."""

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.raw_http import ConnectionEndedError, RawConnection
from tests.support.running_proxy import RunningProxy
from tests.support.script import Reply
from tests.support.scripted_upstream import ScriptedUpstream

BASE = b"/tenant/v7"
ELSEWHERE = b"elsewhere.example"

TOKENS = [
    *(b"/", b"//", b"\\", b"%2f", b"%5C", b"?", b"#", b";", b":", b"@", b"*", b"%", b"%00", b"\t"),
    *(b".", b"..", b"%2e", b"%2E%2e", b".%2e", b"...", b"%252e%252e", b"..;a=b", b"%c0%ae"),
    *(b"v1", b"/v1", b"/v1/responses", b"responses", b"tenant", b"admin", b"-", b"/-/", b"~", b"+"),
    *(b"http://", b"https:", b"HTTP/1.1", ELSEWHERE, b"//" + ELSEWHERE, b"@" + ELSEWHERE),
    *(b":80", b"127.0.0.1", b"[::1]", b"\xc3\xa9", b"\xff", b"\x7f", b"|", b"^", b"`"),
]
TARGETS = st.one_of(
    st.lists(st.sampled_from(TOKENS), max_size=8).map(b"".join),
    st.lists(st.sampled_from(TOKENS), max_size=8).map(lambda tokens: b"/" + b"".join(tokens)),
    st.binary(max_size=30).map(lambda data: b"/" + data.translate(None, b"\r\n ")),
)
METHODS = st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"DELETE"])
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ScriptedUpstream, int]]:
    """An upstream with a base path, which answers whatever comes, and the proxy before it."""
    traces = tmp_path_factory.mktemp("targets") / "traces"
    with ScriptedUpstream() as upstream:
        upstream.otherwise(Reply(status=204, framing="none"))
        with RunningProxy(f"{upstream.url}{BASE.decode()}", traces) as proxy:
            yield upstream, proxy.port


# Each example is an exchange over sockets.
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(method=METHODS, target=TARGETS, extra=st.sampled_from([b"", b"", UPGRADE]))
def test_target_chooses_no_upstream(
    relay: tuple[ScriptedUpstream, int], method: bytes, target: bytes, extra: bytes
) -> None:
    """Any bytes for a target: refused, or asked of our host below our base, as they are."""
    upstream, port = relay
    seen = len(upstream.requests)
    with RawConnection(port) as connection:
        connection.send(b"%b %b HTTP/1.1\r\nHost: 127.0.0.1\r\n%b\r\n" % (method, target, extra))
        try:
            status = connection.read_exchange(head_only=method == b"HEAD").head.status
        except ConnectionEndedError:
            status = 400
    requests = upstream.requests[seen:]
    assert (status == 204) == bool(requests)
    for request in requests:
        assert request.header("host") == f"127.0.0.1:{upstream.port}"
        assert_below_base(request.target)
        assert request.target == BASE + re.sub(rb"^(/v1(?=/|\?|$)){1,2}", b"", target) or (
            request.target == BASE + b"/"
        )


def assert_below_base(target: bytes) -> None:
    """However an upstream reads the path, it does not go up."""
    assert target.startswith(BASE)
    path = target.split(b"?")[0]
    for read in (path, unquote_to_bytes(path)):
        depth = 0
        for segment in re.split(rb"[/\\]", read.removeprefix(BASE)):
            name = segment.partition(b";")[0]
            depth += {b"..": -1, b".": 0, b"": 0}.get(name, 1)
            assert depth >= 0 or b"%2f" in path.lower() or b"%5c" in path.lower()


@pytest.mark.parametrize(
    "target",
    [
        b"http://" + ELSEWHERE + b"/v1/responses",
        b"//" + ELSEWHERE + b"/v1/responses",
        b"\\\\" + ELSEWHERE + b"/v1/responses",
        b"@" + ELSEWHERE + b"/v1/responses",
        b":80@" + ELSEWHERE,
        b"/v1/../../admin",
        b"/v1/..%2e/../admin",
        ELSEWHERE + b":443",
    ],
)
def test_target_that_names_another_is_refused(
    relay: tuple[ScriptedUpstream, int], target: bytes
) -> None:
    """With a 4xx, and nothing goes upstream."""
    upstream, port = relay
    seen = len(upstream.requests)
    with RawConnection(port) as connection:
        connection.send(b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % target)
        assert connection.read_exchange().head.status == 400
    assert len(upstream.requests) == seen
