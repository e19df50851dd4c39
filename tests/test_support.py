"""The test kit does what it says, with no proxy in between."""

import gzip
import socket

import openai
import pytest

from .support.events import (
    ev_completed,
    ev_created,
    ev_error,
    ev_error_nested,
    ev_keepalive,
    ev_text_delta,
    response_object,
    sse,
    sse_pieces,
    text_stream,
)
from .support.raw_http import (
    BodyReader,
    ConnectionEndedError,
    RawConnection,
    exchange,
    request_bytes,
)
from .support.script import (
    AwaitPeerClose,
    Chunk,
    Close,
    Framing,
    Gate,
    Head,
    LastChunk,
    Raw,
    ReadBody,
    Reply,
    Reset,
    gzip_reply,
    json_reply,
    stream_reply,
)
from .support.scripted_upstream import ScriptedUpstream

CHUNKED = Head(headers=((b"Transfer-Encoding", b"chunked"),))
SIZED = Head(headers=((b"Content-Length", b"10"),))


def get(upstream: ScriptedUpstream, path: str = "/") -> bytes:
    """A GET for the upstream itself."""
    return request_bytes("GET", upstream.url + path)


def test_sse_is_written_as_openai_writes_it() -> None:
    """An event line and one data line, numbered from the first."""
    assert sse(ev_keepalive(), ev_error("no"), first=3) == (
        b'event: keepalive\ndata: {"sequence_number":3,"type":"keepalive"}\n\n'
        b'event: error\ndata: {"sequence_number":4,"type":"error","code":"server_error",'
        b'"message":"no","param":null}\n\n'
    )


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_reply_comes_whole_in_each_framing(framing: Framing) -> None:
    """A well-formed reply arrives complete, its head as it was given."""
    with ScriptedUpstream() as upstream:
        headers = ((b"X-Odd", b"\xff"), (b"x-odd", b"2"))
        upstream.enqueue(
            Reply(
                status=299, reason=b"Odd \xe9", headers=headers, body=[b"ab", b"c"], framing=framing
            )
        )
        answer = exchange(upstream.port, get(upstream))
    assert (answer.head.status, answer.head.reason) == (299, b"Odd \xe9")
    assert answer.head.headers[:2] == headers
    assert answer.body == b"abc"
    assert answer.end == ("fin" if framing == "close" else "complete")


def test_request_is_captured_as_it_was_sent() -> None:
    """Line, header order, case, duplicates and the framed body are kept byte for byte."""
    sent = (
        b"POST /v1/x?q=%7E HTTP/1.1\r\nhOsT: h\r\nX-A: 1\r\nx-a: \xfe\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2;ext=1\r\nhi\r\n0\r\nT: 1\r\n\r\n"
    )
    with ScriptedUpstream() as upstream:
        upstream.enqueue(json_reply({}))
        exchange(upstream.port, sent)
        request = upstream.request(0)
    assert request.line == b"POST /v1/x?q=%7E HTTP/1.1"
    assert request.headers == (
        (b"hOsT", b"h"),
        (b"X-A", b"1"),
        (b"x-a", b"\xfe"),
        (b"Transfer-Encoding", b"chunked"),
    )
    assert (request.body, request.raw_body) == (b"hi", b"2;ext=1\r\nhi\r\n0\r\nT: 1\r\n\r\n")


def test_large_body_is_read_whole() -> None:
    """A body beyond what is read ahead arrives whole, in one chunk too."""
    body = b"x" * 3_000_000
    chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    with ScriptedUpstream() as upstream:
        for _ in range(2):
            upstream.enqueue(json_reply({}))
        exchange(upstream.port, request_bytes("POST", upstream.url + "/", body=body))
        exchange(upstream.port, chunked % (len(body), body))
        assert upstream.request(0).body == upstream.request(1).body == body


def test_keep_alive_is_seen_by_the_connection_number() -> None:
    """Two requests on one connection have one number, the next connection has another."""
    with ScriptedUpstream() as upstream:
        for _ in range(3):
            upstream.enqueue(json_reply({}))
        with RawConnection(upstream.port) as connection:
            for _ in range(2):
                connection.send(get(upstream))
                assert connection.read_exchange().head.status == 200
        exchange(upstream.port, get(upstream))
        assert [request.connection_number for request in upstream.requests] == [1, 1, 2]


def test_gate_holds_what_comes_after_it() -> None:
    """Nothing behind a gate is sent before the test opens it."""
    gate = Gate()
    with ScriptedUpstream() as upstream:
        upstream.enqueue(stream_reply(b"first", gate, b"second"))
        with RawConnection(upstream.port) as connection:
            connection.send(get(upstream))
            body = BodyReader(connection, connection.read_head())
            assert body.read_until(b"first") == b"first"
            gate.wait_until_reached()
            connection.socket.setblocking(False)
            with pytest.raises(BlockingIOError):
                connection.socket.recv(1)
            connection.socket.setblocking(True)
            gate.open()
            assert body.read_all() == b"second"
            assert body.end == "complete"


@pytest.mark.parametrize(
    ("script", "body", "end"),
    [
        ([ReadBody(), CHUNKED, Chunk(b"abc"), Close()], b"abc", "fin"),
        ([ReadBody(), CHUNKED, Chunk(b"abc"), Reset()], b"abc", "rst"),
        ([ReadBody(), CHUNKED, Raw(b"5\r\nab"), Close()], b"ab", "fin"),
        ([ReadBody(), SIZED, Raw(b"abc"), Close()], b"abc", "fin"),
        ([ReadBody(), SIZED, Raw(b"abc"), Reset()], b"abc", "rst"),
        ([ReadBody(), Head(), Raw(b"abc"), Reset()], b"abc", "rst"),
    ],
)
def test_truncation_shows_with_its_kind(
    script: list[Head | Raw | Chunk], body: bytes, end: str
) -> None:
    """A body cut by a FIN and one cut by an RST are told apart, in each framing."""
    with ScriptedUpstream() as upstream:
        upstream.enqueue(script)
        answer = exchange(upstream.port, get(upstream))
    assert (answer.body, answer.end) == (body, end)


def test_closing_without_an_answer_shows_with_its_kind() -> None:
    """A connection can end before any byte of a response."""
    for step, end in ((Close(), "fin"), (Reset(), "rst")):
        with ScriptedUpstream() as upstream:
            upstream.enqueue([ReadBody(), step])
            with pytest.raises(ConnectionEndedError) as ended:
                exchange(upstream.port, get(upstream))
        assert ended.value.end == end


def test_informational_heads_come_before_the_final_one() -> None:
    """A 103 is kept apart from the response it announces."""
    early = Head(status=103, headers=((b"Link", b"</x>"),))
    with ScriptedUpstream() as upstream:
        upstream.enqueue(Reply(informational=[early], body=[b"ok"]))
        answer = exchange(upstream.port, get(upstream))
    assert [(head.status, head.headers) for head in answer.informational] == [
        (103, ((b"Link", b"</x>"),))
    ]
    assert (answer.head.status, answer.body) == (200, b"ok")


def test_trailers_are_read_apart_from_the_body() -> None:
    """The last chunk's trailers are no part of the body."""
    with ScriptedUpstream() as upstream:
        upstream.enqueue([CHUNKED, Chunk(b"a"), LastChunk(((b"X-T", b"1"),))])
        with RawConnection(upstream.port) as connection:
            connection.send(get(upstream))
            body = BodyReader(connection, connection.read_head())
            assert (body.read_all(), body.end, body.trailers) == (
                b"a",
                "complete",
                ((b"X-T", b"1"),),
            )


def test_early_reply_needs_no_request_body() -> None:
    """A 413 comes while the request's body is still missing, and the connection ends."""
    with ScriptedUpstream() as upstream:
        upstream.enqueue(Reply(status=413, body=[b"too large"], early=True))
        with RawConnection(upstream.port) as connection:
            connection.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\nsome")
            answer = connection.read_exchange()
            assert connection.wait_until_closed() == "fin"
        assert not upstream.request(0).body_read.is_set()
    assert (answer.head.status, answer.body) == (413, b"too large")


def test_no_body_follows_a_head_only_answer() -> None:
    """HEAD, 204 and 304 have no body, whatever their Content-Length says."""
    with ScriptedUpstream() as upstream:
        for status in (200, 204, 304):
            headers = ((b"Content-Length", b"5"),) if status == 200 else ()
            upstream.enqueue(Reply(status=status, headers=headers, framing="none"))
            answer = exchange(upstream.port, request_bytes("HEAD", upstream.url + "/"))
            assert (answer.head.status, answer.body, answer.end) == (status, b"", "complete")


@pytest.mark.parametrize("how", ["close", "abort"])
def test_peer_that_leaves_is_noticed_while_a_gate_is_shut(how: str) -> None:
    """A FIN and an RST from the peer both end a script that waits."""
    gate = Gate()
    with ScriptedUpstream() as upstream:
        upstream.enqueue(stream_reply(b"first", gate))
        connection = RawConnection(upstream.port)
        connection.send(get(upstream))
        BodyReader(connection, connection.read_head()).read_until(b"first")
        request = upstream.request(0)
        assert not request.closed_by_peer.is_set()
        getattr(connection, how)()
        request.wait_until_closed_by_peer()


def test_silent_script_waits_for_the_peer_to_leave() -> None:
    """`AwaitPeerClose` sends nothing and ends with the connection."""
    with ScriptedUpstream() as upstream:
        upstream.enqueue([ReadBody(), AwaitPeerClose()])
        with RawConnection(upstream.port) as connection:
            connection.send(get(upstream))
            upstream.request(0).body_read.wait()
        upstream.request(0).wait_until_closed_by_peer()


def test_unused_script_fails_the_test() -> None:
    """Leaving the block with a script still queued is an error."""
    with pytest.raises(AssertionError, match="never used"), ScriptedUpstream() as upstream:
        upstream.enqueue(json_reply({}))


def test_unexpected_request_fails_the_test() -> None:
    """A request that no script was queued for is answered and then fails the test."""
    with pytest.raises(AssertionError, match="GET /odd"), ScriptedUpstream() as upstream:
        assert exchange(upstream.port, get(upstream, "/odd")).head.status == 599


def test_error_in_the_servers_thread_fails_the_test() -> None:
    """What the server stumbled over reaches the test."""
    sent = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnot hex\r\n"
    upstream = ScriptedUpstream()
    upstream.__enter__()
    upstream.enqueue(json_reply({}))
    with RawConnection(upstream.port) as connection:
        connection.send(sent)
        connection.wait_until_closed()
    with pytest.raises(ValueError, match="not hex"):
        upstream.__exit__(None, None, None)


def test_failure_of_the_block_is_not_hidden() -> None:
    """An error of the test itself goes before the upstream's own complaints."""
    upstream = ScriptedUpstream()
    upstream.__enter__()
    upstream.enqueue(json_reply({}))
    upstream.__exit__(ZeroDivisionError, ZeroDivisionError(), None)


def test_standing_reply_serves_beside_the_queue() -> None:
    """What is answered always takes no script from the queue."""
    with ScriptedUpstream() as upstream:
        upstream.always("GET", "/models", json_reply({"models": []}))
        upstream.enqueue(Reply(body=[b"queued"]))
        bodies = [
            exchange(upstream.port, get(upstream, path)).body
            for path in ("/models?v=1", "/x", "/models")
        ]
    assert bodies == [b'{"models":[]}', b"queued", b'{"models":[]}']


def test_gzip_reply_decodes_to_the_plain_body() -> None:
    """The coded body says so in its head."""
    with ScriptedUpstream() as upstream:
        upstream.enqueue(gzip_reply(json_reply({"a": 1})))
        answer = exchange(upstream.port, get(upstream))
    assert answer.head.values("content-encoding") == [b"gzip"]
    assert gzip.decompress(answer.body) == b'{"a":1}'


def test_two_servers_do_not_share_a_port() -> None:
    """Each server listens on a port of its own and lets go of it."""
    with ScriptedUpstream() as one, ScriptedUpstream() as other:
        assert one.port != other.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", one.port))


def test_openai_sdk_reads_a_scripted_stream() -> None:
    """The real SDK takes the builders' events for a stream of the API."""
    with ScriptedUpstream() as upstream:
        upstream.enqueue(stream_reply(*sse_pieces(*text_stream("Hel", "lo"))))
        with (
            openai.OpenAI(base_url=upstream.url + "/v1", api_key="k", max_retries=0) as client,
            client.responses.create(model="m", input="Hi", stream=True) as stream,
        ):
            events = list(stream)
        assert upstream.request(0).json() == {"input": "Hi", "model": "m", "stream": True}
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "Hello"
    usage = events[-1].response.usage
    assert usage is not None
    assert usage.total_tokens == 18


def test_openai_sdk_reads_scripted_answers_and_errors() -> None:
    """A JSON answer, an HTTP error and both forms of the error event reach the SDK as such."""
    with ScriptedUpstream() as upstream:
        upstream.enqueue(json_reply(response_object("resp_7")))
        upstream.enqueue(json_reply({"error": {"message": "no"}}, status=400, request_id="req_9"))
        upstream.enqueue(stream_reply(sse(ev_created(), ev_error("flat"))))
        upstream.enqueue(stream_reply(sse(ev_text_delta("x"), ev_error_nested("nested"))))
        with openai.OpenAI(base_url=upstream.url + "/v1", api_key="k", max_retries=0) as client:
            assert client.responses.create(model="m", input="Hi").id == "resp_7"
            with pytest.raises(openai.BadRequestError) as refused:
                client.responses.create(model="m", input="Hi")
            assert refused.value.request_id == "req_9"
            with client.responses.create(model="m", input="Hi", stream=True) as stream:
                assert [event.type for event in stream] == ["response.created", "error"]
            with (
                client.responses.create(model="m", input="Hi", stream=True) as stream,
                pytest.raises(openai.APIError, match="nested"),
            ):
                list(stream)


def test_response_in_an_event_keeps_what_was_said_of_it() -> None:
    """Fields given to a lifecycle builder stand in its response."""
    event = ev_completed("resp_2", usage={"input_tokens": 1}, previous_response_id="resp_1")
    response = event["response"]
    assert isinstance(response, dict)
    assert (response["id"], response["usage"]) == ("resp_2", {"input_tokens": 1})
    assert response["previous_response_id"] == "resp_1"
