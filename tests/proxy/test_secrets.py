"""No secret that passes through the proxy is found on disk or in the log, whatever path it took."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest

from tests.support import secret_search
from tests.support.captured_log import CapturedLog, captured_log
from tests.support.events import ev_created, ev_failed, ev_text_delta, sse, sse_pieces, text_stream
from tests.support.raw_http import BodyReader, RawConnection, exchange
from tests.support.running_proxy import RunningProxy
from tests.support.script import (
    JSON_TYPE,
    SSE_TYPE,
    Chunk,
    Close,
    Gate,
    Head,
    Raw,
    ReadBody,
    Reply,
    Reset,
    Step,
)
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.secret_places import PLACES, READABLE_PLACES, Placed
from tests.support.secret_search import files_in
from tests.support.unreachable import refusing_port


@pytest.fixture
def log() -> Iterator[CapturedLog]:
    """The proxy's log, from before its start."""
    with captured_log() as captured:
        yield captured


@pytest.fixture
def secret() -> str:
    """One that stands nowhere by chance, and needs escapes in a URL."""
    return f"sk-{secrets.token_hex(12)}+/{secrets.token_hex(4)}"


def assert_nowhere(secret: str, trace_dir: Path, log: CapturedLog) -> None:
    """No file of the traces and no log line has it, in any form."""
    files = files_in(trace_dir)
    assert any(path.endswith("trace.jsonl") for path in files)
    secret_search.assert_nowhere([secret], files | {"the log": log.text().encode()})


def echoed(secret: str, *, status: int) -> Reply:
    """An answer that repeats the secret in its body and in the headers that are kept."""
    error = {"message": f"Incorrect API key provided: {secret}.", "code": "invalid_api_key"}
    headers = (
        JSON_TYPE,
        (b"x-request-id", b"req-" + secret.encode()),
        (b"openai-organization", secret.encode()),
    )
    return Reply(status=status, headers=headers, body=[orjson.dumps({"error": error})])


@pytest.mark.parametrize("place", PLACES)
def test_secret_of_a_completed_call(
    log: CapturedLog, upstream: ScriptedUpstream, proxy: RunningProxy, secret: str, place: str
) -> None:
    """Upstream gets it, the trace does not."""
    body = [sse(*text_stream("Hel", "lo"))]
    upstream.enqueue(Reply(headers=(SSE_TYPE,), body=body, framing="chunked"))
    exchange(proxy.port, PLACES[place](secret).request())
    proxy.stop()
    assert_nowhere(secret, proxy.trace_dir, log)


@pytest.mark.parametrize("place", READABLE_PLACES)
@pytest.mark.parametrize("status", [200, 401])
def test_secret_that_upstream_repeats(
    log: CapturedLog,
    upstream: ScriptedUpstream,
    proxy: RunningProxy,
    secret: str,
    place: str,
    status: int,
) -> None:
    """OpenAI quotes a wrong key in its error; an echo may stand in a header too."""
    upstream.enqueue(echoed(secret, status=status))
    answer = exchange(proxy.port, PLACES[place](secret).request())
    assert secret.encode() in answer.body
    proxy.stop()
    assert_nowhere(secret, proxy.trace_dir, log)


ENDINGS = [
    "refused",
    "no answer",
    "garbage",
    "reset in the body",
    "response.failed",
    "client leaves",
    "client leaves before the head",
    "client breaks its body off",
    "client's body is malformed",
    "another endpoint",
    "untraced",
]


def test_cookie_that_upstream_sets_and_repeats(
    log: CapturedLog, upstream: ScriptedUpstream, proxy: RunningProxy, secret: str
) -> None:
    """It is the client's secret from then on, and nobody has sent it before."""
    answer = echoed(secret, status=401)
    cookie = (b"Set-Cookie", f"session={secret}; Path=/; HttpOnly".encode())
    upstream.enqueue(Reply(status=401, headers=(*answer.headers, cookie), body=answer.body))
    assert secret.encode() in exchange(proxy.port, Placed().request()).body
    proxy.stop()
    assert_nowhere(secret, proxy.trace_dir, log)


def test_secret_that_upstream_repeats_as_in_a_url(
    log: CapturedLog, upstream: ScriptedUpstream, proxy: RunningProxy, secret: str
) -> None:
    """As in a link to where a new key can be made, say."""
    upstream.enqueue(echoed(quote(secret, safe=""), status=401))
    exchange(proxy.port, PLACES["authorization"](secret).request())
    proxy.stop()
    assert_nowhere(secret, proxy.trace_dir, log)


def play(ending: str, upstream: ScriptedUpstream, port: int, secret: str) -> None:
    """One call that carries the secret in its head and its query, and ends so."""
    carrier = Placed(headers=((b"Authorization", b"Bearer " + secret.encode()),))
    request = carrier.request()
    chunked = Head(headers=(SSE_TYPE, (b"Transfer-Encoding", b"chunked")))
    said = sse(ev_created("resp_1"), ev_text_delta(f"your key is {secret}, "))
    match ending:
        case "refused":
            exchange(port, request)
        case "no answer" | "garbage":
            steps: list[Step] = [Close()]
            if ending == "garbage":
                steps = [Raw(b"HTTP/1.1 %b\r\n\r\n" % secret.encode()), Close()]
            upstream.enqueue([ReadBody(), *steps])
            exchange(port, request)
        case "reset in the body":
            upstream.enqueue([ReadBody(), chunked, Chunk(said), Reset()])
            exchange(port, request)
        case "response.failed":
            failed = ev_failed("resp_1", message=f"no {secret}", code=secret)
            body = sse_pieces(ev_created("resp_1"), failed)
            upstream.enqueue(Reply(headers=(SSE_TYPE,), body=body, framing="chunked"))
            exchange(port, request)
        case "client leaves":
            # In two pieces, cut within the secret.
            at = said.index(secret.encode()) + 7
            upstream.enqueue([ReadBody(), chunked, Chunk(said[:at]), Chunk(said[at:]), Gate()])
            with RawConnection(port) as connection:
                connection.send(request)
                BodyReader(connection, connection.read_head()).read_until(b"}\n\n")
            upstream.request(0).wait_until_closed_by_peer()
        case "client leaves before the head" | "client breaks its body off":
            upstream.enqueue([ReadBody(), Gate()])
            with RawConnection(port) as connection:
                connection.send(request if "head" in ending else request[:-1])
                upstream.request(0)
            upstream.request(0).wait_until_closed_by_peer()
        case "client's body is malformed":
            upstream.enqueue([ReadBody()])
            bad = carrier.request().replace(
                b"Content-Length: ", b"Transfer-Encoding: chunked\r\nX: "
            )
            with RawConnection(port) as connection:
                connection.send(bad.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
                upstream.request(0)
                connection.send(secret.encode() + b"\r\n")
                assert connection.read_exchange().head.status == 400
        case "another endpoint" | "untraced":
            path = "/v1/responses/resp_1/cancel" if ending != "untraced" else "/v1/files"
            upstream.enqueue(echoed(secret, status=404))
            query = f"?api-key={quote(secret)}"
            exchange(port, carrier.request(path + query))
            if ending == "untraced":  # so that there is a bundle to look into
                upstream.enqueue(echoed(secret, status=401))
                exchange(port, carrier.request())


@pytest.mark.parametrize("ending", ENDINGS)
def test_secret_of_a_call_that_fails(
    log: CapturedLog, upstream: ScriptedUpstream, trace_dir: Path, secret: str, ending: str
) -> None:
    """However it ends, and whoever said the secret last."""
    with refusing_port() as refusing:
        url = f"http://127.0.0.1:{refusing}" if ending == "refused" else upstream.url
        with RunningProxy(url, trace_dir) as proxy:
            play(ending, upstream, proxy.port, secret)
            proxy.stop()
    assert_nowhere(secret, trace_dir, log)


def test_login_of_the_upstream_proxy_is_nobodys(
    log: CapturedLog, upstream: ScriptedUpstream, trace_dir: Path, secret: str
) -> None:
    """Neither for the trace nor for a client: not where it refuses us, nor where it is away."""
    steps: list[Step] = [Head(status=407, headers=((b"Content-Length", b"0"),)), Close()]
    with refusing_port() as refusing:
        for port, scheme in ((upstream.port, "https"), (refusing, "http"), (refusing, "https")):
            login = f"http://user:{quote(secret, safe='')}@127.0.0.1:{port}"
            if port != refusing:
                upstream.enqueue(steps)
            with RunningProxy(
                f"{scheme}://api.example/v1", trace_dir, upstream_proxy=login
            ) as proxy:
                answer = exchange(proxy.port, Placed().request())
            assert answer.head.status == 502
            assert secret.encode() not in answer.body
            assert quote(secret, safe="").encode() not in answer.body
    assert_nowhere(secret, trace_dir, log)
