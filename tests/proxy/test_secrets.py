"""No secret that passes through the proxy is found on disk or in the log, whatever path it took."""

import base64
import gzip
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest

from tests.support.captured_log import CapturedLog, captured_log
from tests.support.events import ev_created, ev_failed, ev_text_delta, sse, sse_pieces, text_stream
from tests.support.raw_http import BodyReader, RawConnection, exchange, request_bytes
from tests.support.running_proxy import RunningProxy
from tests.support.script import (
    JSON_TYPE,
    SSE_TYPE,
    Chunk,
    Close,
    Gate,
    Head,
    Raw,
    RawHeaders,
    ReadBody,
    Reply,
    Reset,
    Step,
)
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.unreachable import refusing_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A request that carries a secret somewhere."""

    headers: RawHeaders = ()
    query: str = ""
    body: object = None
    raw_body: bytes | None = None

    def request(self, path: str = "/v1/responses") -> bytes:
        """The request's bytes."""
        plain = self.body if self.body is not None else {"model": "m", "input": "Hi"}
        data = orjson.dumps(plain) if self.raw_body is None else self.raw_body
        url = f"http://127.0.0.1{path}" + (f"?{self.query}" if self.query else "")
        return request_bytes("POST", url, headers=self.headers, body=data)


def body_with(**fields: object) -> dict[str, object]:
    """A call's body with these fields."""
    return {"model": "m", "input": "Hi", "stream": True} | fields


def tool_with(**fields: object) -> dict[str, object]:
    """A call's body whose MCP tool has these fields."""
    tool = {"type": "mcp", "server_label": "s", "server_url": "https://mcp.example/sse"}
    return body_with(tools=[tool | fields])


def header_with(name: bytes, value: bytes) -> Placed:
    """A call with this header."""
    return Placed(headers=((name, value),))


def escaped(secret: str) -> str:
    """The secret as a URL has it, every byte of it escaped."""
    return "".join(f"%{byte:02x}" for byte in secret.encode())


def image_with(url: str) -> Placed:
    """A call that shows the model this image."""
    image = {"type": "input_image", "image_url": url}
    return Placed(body=body_with(input=[{"role": "user", "content": [image]}]))


def domain_secret(secret: str) -> Placed:
    """A call whose shell may use the secret on one domain."""
    policy = {
        "type": "allowlist",
        "allowed_domains": ["api.example"],
        "domain_secrets": [{"domain": "api.example", "name": "K", "value": secret}],
    }
    container = {"type": "container_auto", "network_policy": policy}
    return Placed(body=body_with(tools=[{"type": "shell", "environment": container}]))


def gzipped(body: object) -> Placed:
    """A call whose body is compressed."""
    return Placed(
        headers=((b"Content-Encoding", b"gzip"),), raw_body=gzip.compress(orjson.dumps(body))
    )


PLACES: dict[str, Callable[[str], Placed]] = {
    "authorization": lambda secret: header_with(b"Authorization", b"Bearer " + secret.encode()),
    "basic authorization": lambda secret: header_with(
        b"Authorization", b"Basic " + base64.b64encode(b"user:" + secret.encode())
    ),
    "authorization twice": lambda secret: Placed(
        headers=(
            (b"authorization", b"Bearer another-key-of-somebody"),
            (b"AUTHORIZATION", b"Bearer " + secret.encode()),
        )
    ),
    "proxy-authorization": lambda secret: header_with(b"Proxy-Authorization", secret.encode()),
    "api-key": lambda secret: header_with(b"api-key", secret.encode()),
    "x-api-key": lambda secret: header_with(b"X-Api-Key", secret.encode()),
    "cookie": lambda secret: header_with(b"Cookie", f"a=1; session={secret}; b=2".encode()),
    "chatgpt-account-id": lambda secret: header_with(b"chatgpt-account-id", secret.encode()),
    "x-oai-attestation": lambda secret: header_with(b"X-OAI-Attestation", secret.encode()),
    "some token": lambda secret: header_with(b"X-Acme-Access-Token", secret.encode()),
    "query api-key": lambda secret: Placed(query=f"a=b&api-key={quote(secret)}&c=d"),
    "query key escaped": lambda secret: Placed(query=f"access%5Ftoken={escaped(secret)}"),
    "query sig": lambda secret: Placed(query=f"sv=2024&sig={quote(secret)}"),
    "mcp authorization": lambda secret: Placed(body=tool_with(authorization=secret)),
    "mcp header": lambda secret: Placed(body=tool_with(headers={"X-Anything": secret})),
    "mcp url user": lambda secret: Placed(
        body=tool_with(server_url=f"https://user:{quote(secret, safe='')}@mcp.example/")
    ),
    "mcp url key": lambda secret: Placed(
        body=tool_with(server_url=f"https://mcp.example/?token={quote(secret)}")
    ),
    "image url": lambda secret: image_with(f"https://img.example/a?sig={quote(secret)}"),
    "domain secrets": domain_secret,
    "gzip body": lambda secret: gzipped(tool_with(authorization=secret)),
    "body that is no JSON": lambda secret: Placed(
        raw_body=b'{"tools": [{"authorization": "%b"}], oops' % secret.encode()
    ),
    "body cut short": lambda secret: Placed(
        raw_body=b'{"tools": [{"headers": {"X-Any": "%b' % secret.encode()
    ),
}


READABLE_PLACES = [place for place in PLACES if not place.startswith("body ")]
"""Of a body that cannot be parsed it is known where a secret stood, and not what it is."""


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
    """No file of the traces and no log line has it, plain, escaped or in base64."""
    forms = {secret, quote(secret), quote(secret, safe=""), secret.replace("/", "\\/")}
    wanted = [form.encode() for form in forms]
    wanted += [base64.b64encode((pad + secret).encode())[4:-4] for pad in ("", "x", "xx")]
    wanted += [base64.b64encode(b"user:" + secret.encode())]
    places = {str(path): path.read_bytes() for path in trace_dir.rglob("*") if path.is_file()}
    assert any(path.endswith("trace.jsonl") for path in places)
    places["the log"] = log.text().encode()
    places["the names of files"] = "\n".join(places).encode()
    for where, data in places.items():
        for form in wanted:
            assert form not in data, f"{form!r} in {where}"
        _assert_not_in_base64(secret, data, where)


def _assert_not_in_base64(secret: str, data: bytes, where: str) -> None:
    """A body that is no JSON is kept in base64."""
    for line in data.split(b'"'):
        if len(line) > len(secret) and len(line) % 4 == 0:
            try:
                decoded = base64.b64decode(line, validate=True)
            except ValueError:
                continue
            assert secret.encode() not in decoded, f"in base64 in {where}"


def echoed(secret: str, *, status: int) -> Reply:
    """An answer that repeats the secret in its body and in the headers that are kept."""
    error = {"message": f"Incorrect API key provided: {secret}.", "code": "invalid_api_key"}
    headers = (
        JSON_TYPE,
        (b"x-request-id", b"req-" + secret.encode()),
        (b"openai-organization", secret.encode()),
        (b"set-cookie", b"session=" + secret.encode()),
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
