"""An upstream that cannot be reached, or must not be trusted: told at once, and never spoken to."""

import socket
from pathlib import Path

import orjson
import pytest

from tests.support.differential import CALL, call
from tests.support.events import sse_pieces, text_stream
from tests.support.raw_bundle import only_terminal, request_payload
from tests.support.raw_http import BodyReader, Exchange, RawConnection, exchange, request_bytes
from tests.support.reduced import calls, only, only_call, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.script import GUARD_S, SSE_TYPE, Chunk, Head, LastChunk
from tests.support.scripted_websocket import asking_head
from tests.support.terminals import assert_one_terminal_each
from tests.support.tls_upstream import Flaw, tls_upstream

HEALTH = request_bytes("GET", "http://127.0.0.1/-/healthz")
STREAM = sse_pieces(*text_stream("Hel", "lo"))
CHUNKED = Head(headers=(SSE_TYPE, (b"Transfer-Encoding", b"chunked")))

BAD: list[Flaw] = ["unknown authority", "another host", "expired", "not valid yet"]


def assert_no_connection(answer: Exchange, *words: bytes) -> None:
    """A 502 of ours that says why."""
    assert answer.head.status == 502
    assert orjson.loads(answer.body)["error"]["code"] == "upstream_connect_error"
    for word in words:
        assert word in answer.body


def assert_failed_once(proxy: RunningProxy) -> None:
    """The call failed, once, and what was asked is kept."""
    failed = only_call(state_after(proxy))
    assert failed["execution"]["status"] == "failed"
    assert failed["upstream_request_id"] is None
    bundle = only(proxy.bundles())
    assert_one_terminal_each(bundle)
    assert request_payload(bundle) == orjson.loads(CALL)
    assert only_terminal(bundle)["proxy"]["outcome"]["transport"] == "upstream_error"


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 63 + ".invalid", "nowhere.invalid."])
def test_name_that_is_none(trace_dir: Path, host: str) -> None:
    """RFC 6761, 6.4: `.invalid` never resolves. The error names the host; we live on."""
    with RunningProxy(f"http://{host}/v1", trace_dir) as proxy, RawConnection(proxy.port) as client:
        client.send(call())
        assert_no_connection(client.read_exchange(), host.encode())
        client.send(HEALTH)
        assert client.read_exchange().head.status == 200
        assert_failed_once(proxy)


def test_upstream_that_went_away(trace_dir: Path) -> None:
    """A stream that is open goes on, though upstream takes no further connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with RunningProxy(url, trace_dir) as proxy, RawConnection(proxy.port) as client:
            client.send(call())
            upstream, _ = listener.accept()
            upstream.settimeout(GUARD_S)
            upstream.sendall(CHUNKED.encode() + Chunk(STREAM[0]).encode())
            body = BodyReader(client, client.read_head())
            assert body.read_until(STREAM[0]) == STREAM[0]
            listener.close()
            for piece in STREAM[1:]:
                assert_no_connection(exchange(proxy.port, call()), b"cannot connect")
                upstream.sendall(Chunk(piece).encode())
                assert body.read_until(piece) == piece
            upstream.sendall(LastChunk().encode())
            assert (body.read_all(), body.end) == (b"", "complete")
            state = state_after(proxy)
            upstream.close()
    statuses = [ended["execution"]["status"] for ended in calls(state)]
    assert statuses == ["completed", *["failed"] * (len(STREAM) - 1)]
    assert_one_terminal_each(only(proxy.bundles()))


@pytest.mark.parametrize("flaw", BAD)
@pytest.mark.parametrize("in_tunnel", [False, True], ids=["directly", "through a proxy"])
def test_certificate_that_is_wrong(
    tmp_path: Path, trace_dir: Path, flaw: Flaw, *, in_tunnel: bool
) -> None:
    """No byte of the request is sent, through a proxy neither: it would be the key."""
    with tls_upstream(tmp_path, flaw, in_tunnel=in_tunnel) as upstream:
        place = f"127.0.0.1:{upstream.port}"
        with RunningProxy(
            "https://127.0.0.1:1/v1" if in_tunnel else f"https://{place}/v1",
            trace_dir,
            upstream_ca_file=upstream.ca_file,
            upstream_proxy=f"http://{place}" if in_tunnel else None,
        ) as proxy:
            assert_no_connection(exchange(proxy.port, call()), b"certificate")
            assert_failed_once(proxy)
    assert upstream.heard == b""


@pytest.mark.parametrize("flaw", BAD)
def test_websocket_of_a_certificate_that_is_wrong(
    tmp_path: Path, trace_dir: Path, flaw: Flaw
) -> None:
    """Its handshake holds the key as well."""
    with (
        tls_upstream(tmp_path, flaw) as upstream,
        RunningProxy(
            f"https://127.0.0.1:{upstream.port}/v1", trace_dir, upstream_ca_file=upstream.ca_file
        ) as proxy,
    ):
        assert_no_connection(exchange(proxy.port, asking_head()), b"certificate")
    assert upstream.heard == b""


def test_private_authority_is_none_without_the_setting(tmp_path: Path, trace_dir: Path) -> None:
    """A good certificate of an authority that only `upstream_ca_file` would name."""
    with (
        tls_upstream(tmp_path, "none") as upstream,
        RunningProxy(f"https://127.0.0.1:{upstream.port}/v1", trace_dir) as proxy,
    ):
        assert_no_connection(exchange(proxy.port, call()), b"certificate")
    assert upstream.heard == b""


@pytest.mark.parametrize("in_tunnel", [False, True], ids=["directly", "through a proxy"])
def test_private_authority_is_trusted_by_the_setting(
    tmp_path: Path, trace_dir: Path, *, in_tunnel: bool
) -> None:
    """What the tests above refuse is refused for its flaw alone."""
    with tls_upstream(tmp_path, "none", in_tunnel=in_tunnel) as upstream:
        place = f"127.0.0.1:{upstream.port}"
        with RunningProxy(
            "https://127.0.0.1:1/v1" if in_tunnel else f"https://{place}/v1",
            trace_dir,
            upstream_ca_file=upstream.ca_file,
            upstream_proxy=f"http://{place}" if in_tunnel else None,
        ) as proxy:
            assert exchange(proxy.port, call()).body == b"ok"
    assert upstream.heard.startswith(b"POST /v1/responses HTTP/1.1\r\n")


def test_plain_text_in_place_of_tls(trace_dir: Path) -> None:
    """An upstream that speaks no TLS is not spoken to in plain text instead."""
    heard = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/v1"
        with RunningProxy(url, trace_dir) as proxy, RawConnection(proxy.port) as client:
            client.send(call())
            upstream, _ = listener.accept()
            upstream.settimeout(GUARD_S)
            heard += upstream.recv(65536)
            upstream.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            assert_no_connection(client.read_exchange())
            upstream.close()
            assert_failed_once(proxy)
    assert b"responses" not in heard
