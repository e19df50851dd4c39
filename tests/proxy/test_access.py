"""Which requests are refused: the decision alone, without a socket."""

from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.access import is_allowed, refuse
from tests.support.script import RawHeaders

HEADER_BYTES_MAX = 64 * 1024
HTTP_1_0, HTTP_1_1 = (1, 0), (1, 1)


def refusal_of(
    *,
    method: str = "POST",
    target: str = "/v1/responses",
    version: tuple[int, int] = HTTP_1_1,
    headers: RawHeaders = ((b"Host", b"127.0.0.1:8787"),),
    allowed_hosts: Collection[str] = (),
) -> tuple[int, str] | None:
    """Status and code of the refusal of a request, which is a good one unless told otherwise."""
    refusal = refuse(
        method=method,
        target=target,
        version=version,
        headers=headers,
        allowed_hosts=frozenset(allowed_hosts),
        header_bytes_max=HEADER_BYTES_MAX,
    )
    return None if refusal is None else (refusal.status, refusal.code)


GOOD_TARGETS = [
    "/",
    "/v1",
    "/v1/responses",
    "/v1//responses",
    "/v1/responses?a=/../b&c=%2e%2e",
    "/v1/files/a%2Fb",
    "/v1/files/..%2Fb",
    "/v1/files/%00",
    "/v1/files/...",
    "/v1/files/.hidden",
    "/v1/files/a..b",
    "/v1/files/%252e%252e",
    "/v1/files/caf\udce9",
]


@pytest.mark.parametrize("target", GOOD_TARGETS)
def test_path_is_taken(target: str) -> None:
    """Whatever an upstream may call a thing, with its escapes as they are."""
    assert refusal_of(target=target) is None


BAD_TARGETS = [
    "http://169.254.169.254/latest",
    "https://api.openai.com/v1/responses",
    "*",
    "evil.example:443",
    "//evil.example/v1/responses",
    "/..",
    "/.",
    "/v1/../admin",
    "/v1/./responses",
    "/v1/responses/..",
    "/v1/responses/..?a=b",
    "/v1/responses/..#a",
    "/v1/%2e%2e/admin",
    "/v1/%2E%2e/admin",
    "/v1/.%2e/admin",
    "/v1/%2e/admin",
    "/v1\\..\\admin",
    "/v1/a\\..",
    "/v1/..;/admin",
    "/v1/%2e%2e;a=b/admin",
    "/v1/responses#a",
    "/v1/responses?a#/../b",
]


@pytest.mark.parametrize("target", BAD_TARGETS)
def test_path_is_refused(target: str) -> None:
    """What would leave upstream's base URL, once or twice decoded, or is no path."""
    assert refusal_of(target=target) == (400, "bad_request_target")


def test_connect_is_refused() -> None:
    """A tunnel to anywhere is not this proxy's trade."""
    assert refusal_of(method="CONNECT", target="evil.example:443") == (405, "method_not_allowed")


GOOD_HOSTS = [
    "127.0.0.1",
    "127.0.0.1:8787",
    "127.8.9.10",
    "localhost",
    "LOCALHOST:1",
    "[::1]",
    "[::1]:8787",
    "[0:0:0:0:0:0:0:1]",
    "proxy.example",
    "Proxy.Example:80",
    "10.0.0.7:8787",
]
BAD_HOSTS = [
    "evil.example",
    "evil.example:8787",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "localhost,evil.example",
    "10.0.0.8",
    "0.0.0.0",
    "[::]",
    "127.1",
    "2130706433",
]
NO_HOSTS = [
    "",
    ":80",
    "127.0.0.1@evil.example",
    "evil.example#@127.0.0.1",
    "localhost@evil.example",
    "127.0.0.1\\.evil.example",
    "evil.example/127.0.0.1",
    "127.0.0.1/path",
    "127.0.0.1?a",
    "127.0.0.1:port",
    "[::1",
    "::1",
    "local host",
    "localhost, localhost",
    "localhost\xa0",
]
ALLOWED = ("proxy.example", "10.0.0.7")


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_host_is_taken(host: str) -> None:
    """Loopback in its forms, and what the settings allow, with any port and in any case."""
    headers = ((b"Host", host.encode("latin-1")),)
    assert refusal_of(headers=headers, allowed_hosts=ALLOWED) is None


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_host_is_refused(host: str) -> None:
    """Any other name: a page that rebound its own to our address would send it."""
    headers = ((b"hOST", host.encode("latin-1")),)
    assert refusal_of(headers=headers, allowed_hosts=ALLOWED) == (403, "host_not_allowed")


@pytest.mark.parametrize("length", [20, 300])
def test_host_that_was_taken_is_refused_by_other_settings(length: int) -> None:
    """What was found of a host is remembered for those allowed names alone."""
    host = "a" * length
    headers = ((b"Host", host.encode()),)
    for _ in range(2):
        assert refusal_of(headers=headers, allowed_hosts=[host]) is None
        assert refusal_of(headers=headers, allowed_hosts=ALLOWED) == (403, "host_not_allowed")


@pytest.mark.parametrize("host", NO_HOSTS)
def test_host_that_is_none_is_refused(host: str) -> None:
    """RFC 9112, 3.2: a 400 for what is not a host and a port, an allowed host within it or not."""
    headers = ((b"Host", host.encode("latin-1")),)
    assert refusal_of(headers=headers, allowed_hosts=ALLOWED) == (400, "bad_host")


@pytest.mark.parametrize(("version", "status"), [((0, 9), 400), ((2, 0), 505), ((1, 2), 505)])
def test_other_version_is_refused(version: tuple[int, int], status: int) -> None:
    """It would be sent on as HTTP/1.1, and it is not."""
    assert refusal_of(version=version) == (status, "bad_http_version")


def test_http_1_0_needs_no_host() -> None:
    """Browsers always send one."""
    assert refusal_of(version=HTTP_1_0, headers=()) is None


def origin(value: bytes) -> RawHeaders:
    """A good Host and this Origin."""
    return ((b"Host", b"localhost"), (b"Origin", value))


@pytest.mark.parametrize(
    "value",
    [b"http://127.0.0.1:8787", b"http://localhost:3000", b"http://[::1]", b"https://proxy.example"],
)
def test_origin_is_taken(value: bytes) -> None:
    """A page of this host, on any port."""
    assert refusal_of(headers=origin(value), allowed_hosts=ALLOWED) is None


@pytest.mark.parametrize(
    "value",
    [
        b"null",
        b"",
        b"https://evil.example",
        b"https://localhost.evil.example",
        b"https://localhost@evil.example",
        b"file://",
        b"chrome-extension://abc",
        b"localhost",
        b"http://localhost http://evil.example",
    ],
)
def test_origin_is_refused(value: bytes) -> None:
    """A page of another host, or of none that can be told."""
    assert refusal_of(headers=origin(value)) == (403, "origin_not_allowed")


def test_every_origin_must_be_allowed() -> None:
    """A second one does not hide behind the first."""
    headers = (*origin(b"http://localhost"), (b"origin", b"https://evil.example"))
    assert refusal_of(headers=headers) == (403, "origin_not_allowed")


def framed(*codings: bytes) -> RawHeaders:
    """A good Host and these transfer codings."""
    return ((b"Host", b"localhost"), *((b"Transfer-Encoding", coding) for coding in codings))


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b" chunked "])
def test_chunked_is_taken(coding: bytes) -> None:
    """It is the one transfer coding that every server has."""
    assert refusal_of(headers=framed(coding)) is None


@pytest.mark.parametrize(
    "codings",
    [
        (b"gzip, chunked",),
        (b"gzip",),
        (b"chunked, chunked",),
        (b"chunked", b"chunked"),
        (b"identity",),
        (b"xchunked",),
        (b"",),
    ],
)
def test_other_framing_is_refused(codings: tuple[bytes, ...]) -> None:
    """Two parsers might frame it differently, and so smuggle a request."""
    assert refusal_of(headers=framed(*codings)) == (400, "bad_framing")


@pytest.mark.parametrize(
    "field",
    [
        (b"Content-Length", b"005"),
        (b"Content-Length", b"00"),
        (b"Content-Length", b"5, 5"),
        (b"content-length", b"0x5"),
        (b"Content-Length", b""),
        (b"Content_Length", b"5"),
        (b"transfer_encoding", b"chunked"),
    ],
)
def test_framing_that_upstream_may_read_otherwise_is_refused(field: tuple[bytes, bytes]) -> None:
    """Octal to some, a list to others; and CGI's names know no hyphen."""
    assert refusal_of(headers=((b"Host", b"localhost"), field)) == (400, "bad_framing")


@pytest.mark.parametrize("length", [b"0", b"5", b"10", b"99999999999"])
def test_plain_length_is_taken(length: bytes) -> None:
    """As every client writes it."""
    assert refusal_of(headers=((b"Host", b"localhost"), (b"Content-Length", length))) is None


@pytest.mark.parametrize("version", [(0, 9), HTTP_1_0, (2, 0)])
def test_chunked_is_for_http_1_1_alone(version: tuple[int, int]) -> None:
    """RFC 9112, 6.1: in any other version the framing is to be taken as faulty."""
    assert refusal_of(version=version, headers=framed(b"chunked")) == (400, "bad_framing")


def head_of(size: int) -> RawHeaders:
    """A head whose fields take so many bytes on the wire, none of them long."""
    host = (b"Host", b"localhost")
    rest = size - 4 - sum(map(len, host))
    count, last = divmod(rest, 1024)
    field = (b"X-Field-Name", b"v" * (1024 - 12 - 4))
    return (host, *([field] * count), (b"X" * (last - 4), b"")) if last >= 5 else (host, field)


def test_large_head_is_refused() -> None:
    """Counted as a whole: each field may be small. At the limit it still passes."""
    target = "/v1/responses"
    room = HEADER_BYTES_MAX - len(target)
    assert refusal_of(target=target, headers=head_of(room)) is None
    assert refusal_of(target=target, headers=head_of(room + 1)) == (431, "headers_too_large")


@given(hostname=st.one_of(st.none(), st.text()))
def test_any_host_name_is_judged(hostname: str | None) -> None:
    """Whatever it is, there is an answer, and only loopback is allowed by itself."""
    if is_allowed(hostname, ()):
        assert hostname is not None
        assert hostname == "localhost" or hostname.startswith("127.") or ":" in hostname


@given(
    target=st.text(min_size=1),
    headers=st.lists(st.tuples(st.binary(), st.binary())).map(tuple),
    version=st.sampled_from([(0, 9), HTTP_1_0, HTTP_1_1, (2, 0)]),
)
def test_any_request_is_judged(target: str, headers: RawHeaders, version: tuple[int, int]) -> None:
    """No head makes the check raise, and what passes is a path."""
    if refusal_of(target=target, headers=headers, version=version) is None:
        assert target.startswith("/")
        assert not target.startswith("//")
